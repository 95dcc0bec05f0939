#!/bin/sh
# Same bits on MPI as on OpenMP: every code and rule, honest, with liars, with silent workers, one server, three; then
# again with the numbers of MPI's heads in the other byte order, and
# with parameters that the workers relay.
. "$(dirname "$0")/support/mpi.sh"
for peer in conformance turned relayed; do
    timeout -k 5 240 mpirun -n 11 "$BUILD/tests/peer_mpi_$peer" 2>&1
    code=$?
    [ "$code" -eq 0 ] || echo "not ok 999 - the run of peer_mpi_$peer ended with code $code"
done
