#!/bin/sh
# The example that puts Draco into an MPI program: short, right, and the liar is caught in every step.
. "$(dirname "$0")/support/mpi.sh"
lines=$(wc -l <examples/05_mpi_gather.c)
[ "$lines" -le 60 ]
result $? "the whole program has $lines lines"
for n in 3 7 8; do
    said=$(timeout -k 3 60 mpirun -n "$n" "$BUILD/05_mpi_gather" 2>&1)
    echo "$said" | grep -q 'w\[0\] = 0\.49.*caught lying in 50 of 50 steps'
    result $? "$n ranks: the liar is caught in every step and the result is right"
done
timeout -k 3 60 mpirun -n 2 "$BUILD/05_mpi_gather" >/dev/null 2>&1
[ $? -eq 2 ]
result $? "two ranks are too few: exit code 2"
echo "1..$number"
