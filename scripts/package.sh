#!/bin/sh
# Print a file by which other builds find what is installed: package.sh FILE PREFIX LIBDIR VERSION
# FILE: draco-codes or draco-codes-TRANSPORT for pkg-config, config or config-version for CMake.
set -eu
file=$1 prefix=$2 libdir=$3 version=$4

pkgconfig() { # DESCRIPTION, and lines of its own
    printf 'prefix=%s\nlibdir=%s\nincludedir=${prefix}/include/draco-codes\n\n' "$prefix" "$libdir"
    printf 'Name: %s\nDescription: %s\nVersion: %s\n' "$file" "$1" "$version"
    shift
    printf '%s\n' "$@"
}

case $file in
    draco-codes)
        pkgconfig "gradient codes and rounds that stay right while workers lie" \
            'Cflags: -I${includedir}' 'Libs: -L${libdir} -ldraco-codes -lm' ;;
    draco-codes-openmp)
        pkgconfig "transport of draco-codes: workers in one process" "Requires: draco-codes = $version" \
            'Cflags: -fopenmp' 'Libs: -fopenmp -lm' ;;
    draco-codes-mpi)
        pkgconfig "transport of draco-codes: Open MPI" "Requires: draco-codes = $version, ompi-c" 'Libs: -lm' ;;
    draco-codes-grpc)
        pkgconfig "transport of draco-codes: gRPC with mutual TLS" "Requires: draco-codes = $version" \
            'Libs: -lgrpc -lgpr -lpthread -lm' ;;
    config-version)
        cat <<END
set(PACKAGE_VERSION "$version")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
END
        ;;
    config) # found from where this file lies, so that the tree can be moved
        up=$(echo "${libdir#"$prefix"/}/cmake/draco-codes" | sed 's/[^/][^/]*/../g')
        cat <<END
# draco-codes::headers: the headers, for a program with DRACO_IMPLEMENTATION in one of its files.
# draco-codes::library: the headers and the library that has them compiled.
# draco-codes::openmp, ::mpi, ::grpc: the headers and what that transport needs; made where that is installed.
get_filename_component(_draco_prefix "\${CMAKE_CURRENT_LIST_DIR}/$up" ABSOLUTE)
get_filename_component(_draco_lib "\${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
if(NOT TARGET draco-codes::headers)
  add_library(draco-codes::headers INTERFACE IMPORTED)
  set_target_properties(draco-codes::headers PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "\${_draco_prefix}/include/draco-codes" INTERFACE_LINK_LIBRARIES "m")

  add_library(draco-codes::library SHARED IMPORTED)
  set_target_properties(draco-codes::library PROPERTIES IMPORTED_LOCATION "\${_draco_lib}/libdraco-codes.so.0"
    IMPORTED_SONAME "libdraco-codes.so.0" INTERFACE_LINK_LIBRARIES "draco-codes::headers")

  find_package(OpenMP QUIET COMPONENTS C)
  find_package(MPI QUIET COMPONENTS C)
  find_package(Threads QUIET)
  find_library(_draco_grpc grpc)
  find_library(_draco_gpr gpr)
  mark_as_advanced(_draco_grpc _draco_gpr)
  if(OpenMP_C_FOUND)
    add_library(draco-codes::openmp INTERFACE IMPORTED)
    set_target_properties(draco-codes::openmp PROPERTIES INTERFACE_LINK_LIBRARIES "draco-codes::headers;OpenMP::OpenMP_C")
  endif()
  if(MPI_C_FOUND)
    add_library(draco-codes::mpi INTERFACE IMPORTED)
    set_target_properties(draco-codes::mpi PROPERTIES INTERFACE_LINK_LIBRARIES "draco-codes::headers;MPI::MPI_C")
  endif()
  if(_draco_grpc AND _draco_gpr AND Threads_FOUND)
    add_library(draco-codes::grpc INTERFACE IMPORTED)
    set_target_properties(draco-codes::grpc PROPERTIES
      INTERFACE_LINK_LIBRARIES "draco-codes::headers;\${_draco_grpc};\${_draco_gpr};Threads::Threads")
  endif()
endif()
END
        ;;
    *) echo "package.sh: no file is called $file" >&2; exit 2 ;;
esac
