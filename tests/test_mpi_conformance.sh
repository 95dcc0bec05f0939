#!/bin/sh
# Same bits on MPI as on OpenMP: every code and rule, honest, with liars, with silent workers, one server, three.
. "$(dirname "$0")/support/mpi.sh"
timeout -k 5 240 mpirun -n 11 "$BUILD/tests/peer_mpi_conformance" 2>&1
code=$?
[ "$code" -eq 0 ] || echo "not ok 999 - the conformance run ended with code $code"
