#!/bin/sh
# Liars on the wire: too few bytes, too many, none, a wrong step, an old one, two answers, garbage, a flood. They
# are named, nobody else is, nothing is lost, nothing hangs.
. "$(dirname "$0")/support/mpi.sh"
peer=$BUILD/tests/peer_mpi_faults
log=$BUILD/logs/mpi_faults.out
mkdir -p "$BUILD/logs"

lies() {
    DRACO_MPI_SERVERS=$2 timeout -k 3 60 mpirun --mca orte_allowed_exit_without_sync 1 -n $((8 + $2)) \
        scripts/mpi_rank.sh "$peer" "$1" "$2" >"$log" 2>&1
    code=$?
    [ "$code" -eq 0 ] && [ "$(grep -c '^ok' "$log")" -eq 2 ]
    good=$?
    result $good "$1, $2 server(s): named, nothing is lost, nothing hangs (code $code)"
    [ $good -eq 0 ] || grep -v PMIX "$log" | tail -n 20 | sed 's/^/# /'
}

for name in honest too-few-bytes too-many-bytes a-huge-message a-head-with-more a-head-with-less no-bytes mute \
    cannot-answer wrong-step last-step-again answers-twice garbage a-flood whispers-to-workers relay-honest relay-wrong-bytes \
    relay-silent relay-too-few-bytes relay-too-many-bytes relay-a-huge-frame relay-a-flood relay-asks-for-nonsense; do
    lies "$name" 1
done
for name in honest too-many-bytes wrong-step garbage relay-honest relay-wrong-bytes relay-a-flood; do lies "$name" 3; done
echo "1..$number"
