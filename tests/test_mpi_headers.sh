#!/bin/sh
# The headers of the MPI transport compile alone and twice, bare, with their implementation and as a static copy that
# exports nothing, with gcc and clang and every warning an error; the program in the opening comment runs.
. "$(dirname "$0")/support/mpi.sh"
. "$(dirname "$0")/support/headers.sh"
mkdir -p "$BUILD/mpi_headers"
tmp=$(cd "$BUILD/mpi_headers" && pwd)
mpi=$(pkg-config --cflags ompi-c | sed 's/-I/-isystem /g')
extra=$mpi

for compiler in gcc clang; do
    command -v $compiler >/dev/null 2>&1 || continue
    for name in handshake share relay; do
        compiles $compiler "transports/draco_$name.h"
        result $? "transports/draco_$name.h compiles alone and twice with $compiler"
    done
    for name in MPI LIVENESS; do
        header=transports/draco_$(echo $name | tr 'A-Z' 'a-z').h
        compiles $compiler "$header" && compiles $compiler "$header" DRACO_${name}_IMPLEMENTATION
        result $? "$header compiles alone and twice with $compiler"
        compiles $compiler "$header" DRACO_STATIC DRACO_VOTE_STATIC DRACO_${name}_STATIC DRACO_IMPLEMENTATION \
            DRACO_VOTE_IMPLEMENTATION DRACO_${name}_IMPLEMENTATION && exports_nothing
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
