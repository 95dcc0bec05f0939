#!/bin/sh
# Ranks that die or stall: killed at the start, between rounds and in a message, stopped and continued; a server
# that dies; ranks that were set up differently. Every run has a time limit.
. "$(dirname "$0")/support/mpi.sh"
peer=$BUILD/tests/peer_mpi_faults
log=$BUILD/logs/mpi_lost.out
mkdir -p "$BUILD/logs"

# A worker is lost; the run goes on, ends with code 0, and has the bits of the run in which nobody was.
lost() {
    name=$1
    servers=$2
    what="$name, $servers server(s)"
    DRACO_MPI_SERVERS=$servers timeout -k 3 60 mpirun --mca orte_allowed_exit_without_sync 1 -n $((8 + servers)) \
        scripts/mpi_rank.sh "$peer" "$name" "$servers" >"$log" 2>&1
    code=$?
    [ "$code" -eq 0 ]
    result $? "$what: ends with code 0"
    grep -q '^ok.*every verdict is right' "$log"
    result $? "$what: named, and nobody else is"
    grep -q '^ok.*nothing is lost' "$log"
    result $? "$what: the bits of the run without faults"
    grep -c '^ok' "$log" | grep -qx 2 || sed 's/^/# /' "$log" | grep -v PMIX | tail -n 20
}

for name in killed-at-start killed-after-hello killed-between-rounds killed-in-a-message stopped \
    stopped-in-a-message relay-killed; do
    lost "$name" 1
done
for name in killed-between-rounds killed-in-a-message; do lost "$name" 3; done

# mpirun's own way: it goes on as well, but hides the exit code.
timeout -k 3 60 mpirun --enable-recovery -n 9 "$peer" killed-in-a-message >"$log" 2>&1
code=$?
[ "$code" -eq 0 ] && [ "$(grep -c '^ok' "$log")" -eq 2 ]
result $? "mpirun --enable-recovery: the run goes on without the killed worker"

# The last server dies after a second: everybody else ends within seconds, by itself, and says why.
for servers in 1 3; do
    begin=$(date +%s)
    DRACO_MPI_SERVERS=0 timeout -k 3 60 mpirun --mca orte_allowed_exit_without_sync 1 -n $((8 + servers)) \
        scripts/mpi_rank.sh "$peer" orphans "$servers" >"$log" 2>&1
    code=$?
    seconds=$(($(date +%s) - begin))
    [ "$code" -ne 124 ] && [ "$seconds" -lt 20 ] && [ "$(grep -c 'rank .* is gone' "$log")" -ge 8 ]
    result $? "a dead server of $servers ends 8 workers in seconds ($seconds s with start)"
    [ "$(grep -c 'rank .* is gone' "$log")" -ge 8 ] || sed 's/^/# /' "$log" | tail -n 20
done

# Workers that stop and go on while one of eight lies in every step: who lags behind is asked about parameters that it was
# never sent, because the round had somebody to speak before it was free. A step that waits for its deadline takes 60 seconds.
small="--model=softmax --data=digits --train-samples=400 --test-samples=100 --batch=40 --steps=80 --threads=1 --progress=none
    --workers=8 --adversaries=1 --attack=reverse --eval-every=0"
# shellcheck disable=SC2086
"$BUILD/draco-train" $small --params="$log.openmp" >"$log" 2>&1
rm -f "$log.mpi"
# shellcheck disable=SC2086
timeout -k 3 55 mpirun -n 9 "$BUILD/draco-train" $small --transport=mpi --params="$log.mpi" >"$log" 2>&1 &
job=$!
i=0
while kill -0 $job 2>/dev/null; do
    i=$((i + 1))
    pids=$(pgrep -P "$(pgrep -P $job -x mpirun)" -x draco-train) && pid=$(echo "$pids" | sed -n "$((2 + i % 8))p") &&
        kill -STOP "$pid" && sleep 0.03 && kill -CONT "$pid"
    sleep 0.02
done
wait $job
code=$?
[ $code -eq 0 ] && cmp -s "$log.openmp" "$log.mpi"
result $? "workers that lag behind with a liar among them: no step waits for its deadline, the same bytes (code $code)"

# One rank has another seed: all ranks end, and every one of them can say who it is.
DRACO_MPI_SERVERS=0 timeout -k 3 60 mpirun --mca orte_allowed_exit_without_sync 1 -n 9 scripts/mpi_rank.sh \
    "$peer" mismatch >"$log" 2>&1
[ "$(grep -c "rank 4 has 'seed=6' where rank 0 has 'seed=5'" "$log")" -eq 9 ]
result $? "a rank that was set up differently is named on all ranks before the first round"
echo "1..$number"
