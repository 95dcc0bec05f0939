#!/bin/sh
# Run one rank of an MPI job so that a worker that dies does not end the job:
#     mpirun --mca orte_allowed_exit_without_sync 1 -n 9 scripts/mpi_rank.sh build/draco-train --transport mpi ...
# A server's exit code stays what it is. A worker's becomes 0: to the servers it is a missing worker, and they
# decide whether the run goes on. DRACO_MPI_SERVERS: how many of the first ranks are servers (1).
rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${SLURM_PROCID:-0}}}
[ "$rank" -ge "${DRACO_MPI_SERVERS:-1}" ] || exec "$@"
trap : TERM INT HUP USR1 USR2 # they are for the worker: this shell lives as long as it does
"$@"
code=$?
[ "$code" -eq 0 ] || echo "rank $rank ended with code $code" >&2
exit 0
