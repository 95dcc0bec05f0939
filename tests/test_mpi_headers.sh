#!/bin/sh
# The headers of the MPI transport compile alone and twice, bare, with their implementation and as a static copy that
# exports nothing, with gcc and clang and every warning an error; the program in the opening comment runs.
. "$(dirname "$0")/mpi.sh"
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$BUILD/mpi_headers"
tmp=$(cd "$BUILD/mpi_headers" && pwd)
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
mpi=$(pkg-config --cflags ompi-c | sed 's/-I/-isystem /g')

try() { # COMPILER HEADER DEFINITION...
    compiler=$1
    header=$2
    shift 2
    for name in "$@"; do echo "#define $name"; done >"$tmp/unit.c"
    printf '#include "transports/%s"\n#include "transports/%s"\n' "$header" "$header" >>"$tmp/unit.c"
    # shellcheck disable=SC2086
    $compiler -std=gnu11 $warn $mpi -I"$root" -c "$tmp/unit.c" -o "$tmp/unit.o" >"$tmp/errors" 2>&1 && return 0
    sed 's/^/# /' "$tmp/errors" | head -n 10
    return 1
}
for compiler in gcc clang; do
    command -v $compiler >/dev/null 2>&1 || continue
    for name in MPI LIFELINE; do
        header=draco_$(echo $name | tr 'A-Z' 'a-z').h
        try $compiler "$header" && try $compiler "$header" DRACO_${name}_IMPLEMENTATION
        result $? "$header compiles alone and twice with $compiler"
        try $compiler "$header" DRACO_STATIC DRACO_VOTE_STATIC DRACO_${name}_STATIC DRACO_IMPLEMENTATION \
            DRACO_VOTE_IMPLEMENTATION DRACO_${name}_IMPLEMENTATION && [ -z "$(nm -g --defined-only "$tmp/unit.o")" ]
        result $? "a static copy of $header exports nothing with $compiler"
    done
done

sed -n '/^ \* program:$/,/^ \* end of program$/p' "$root/transports/draco_mpi.h" | sed -e '1d;$d' -e 's/^ \* \{0,5\}//' >"$tmp/program.c"
# shellcheck disable=SC2046,SC2086
gcc -std=c99 -D_GNU_SOURCE -Wall -Wextra $mpi -I"$root" "$tmp/program.c" -o "$tmp/program" $(pkg-config --libs ompi-c) -lm
said=$(timeout -k 3 60 mpirun -n 4 "$tmp/program" 2>&1)
[ $? -eq 0 ] && [ "$said" = "w = 3.000" ]
result $? "the program in draco_mpi.h's comment runs as C99: $said"
echo "1..$number"
