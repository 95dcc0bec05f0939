#!/bin/sh
# A step that lacks workers waits for them: all workers of a gRPC run are killed and come back after a while; of an MPI run one
# is dead for ever, and most others are stopped and go on; the model has the bytes of the run without faults, the log stays short, the server
# idle. When they do not come back the run ends with its reason and status 4, or at once where they never can.
. "$(dirname "$0")/support/tap.sh"
BUILD=${BUILD:-build}
dir=$(mktemp -d /tmp/draco-quorum-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
explain() { tail -n 6 "$dir"/*.log | grep -v PMIX; }
away=${DRACO_OUTAGE:-4}
[ "${DRACO_STRESS:-}" != full ] || away=60
common="--model=softmax --data=digits --train-samples=2000 --test-samples=200 --workers=5 --adversaries=1 --batch=60
    --eval-every=0 --progress=none --threads=1"
steps=3000
wait_for() { # PATTERN FILE: 20 seconds at most
    i=0
    until grep -q "$1" "$2" 2>/dev/null || [ $i -ge 200 ]; do sleep 0.1; i=$((i + 1)); done
}

# shellcheck disable=SC2086
"$BUILD/draco-train" $common --steps=$steps --params="$dir/openmp" >"$dir/openmp.log" 2>&1
result $? "the run without faults"

if ! "$BUILD/draco-train" --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    grpc="$BUILD/draco-train $common --transport=grpc --address=unix:$dir/socket"
    workers() {
        for i in 0 1 2 3 4; do
            # shellcheck disable=SC2086
            $grpc --role=worker --worker=$i >"$dir/worker-$i.log" 2>&1 &
            eval "worker$i=$!"
            pids="$pids $!"
        done
    }
    server() { # OPTION...
        # shellcheck disable=SC2086
        rm -f "$dir/metrics"
        timeout -k 3 $((60 + away)) $grpc --metrics="$dir/metrics" "$@" >"$dir/server.log" 2>&1 &
        server=$!
        pids="$pids $!"
    }
    server --steps=$steps --params="$dir/grpc"
    workers
    wait_for '"step":200,' "$dir/metrics"
    # shellcheck disable=SC2154
    kill -9 $worker0 $worker1 $worker2 $worker3 $worker4
    wait_for 'waiting for the others' "$dir/server.log"
    ticks() { awk '{ print $14 + $15 }' "/proc/$(pgrep -P $server)/stat"; }
    before=$(ticks)
    sleep "$away"
    used=$(($(ticks) - before))
    workers
    wait $server
    code=$?
    [ $code -eq 0 ] && cmp -s "$dir/openmp" "$dir/grpc"
    result $? "gRPC: all workers away for $away s: the same bytes (code $code)"
    [ $((used * 5)) -le $((away * $(getconf CLK_TCK))) ]
    result $? "meanwhile the server used $used ticks of $(getconf CLK_TCK) a second"
    [ "$(wc -l <"$dir/server.log")" -le 40 ] && grep -q 'the run goes on' "$dir/server.log"
    result $? "and wrote $(wc -l <"$dir/server.log") lines, the last that the run goes on"

    server --steps=1000000 --quorum-timeout=1.5
    workers
    wait_for '"step":20,' "$dir/metrics"
    kill -9 $worker0 $worker1 $worker2 $worker4
    wait $server
    code=$?
    [ $code -eq 4 ] && grep -q 'training failed.*1 of 5 workers' "$dir/server.log"
    result $? "gRPC: four workers do not come back: status 4, with the reason (code $code)"

    server --steps=1000000 --quorum-timeout=1.5 --all-present
    workers
    wait_for '"step":20,' "$dir/metrics"
    kill -9 $worker1
    wait $server
    code=$?
    [ $code -eq 4 ] && grep -q 'training failed.*4 of 5 workers' "$dir/server.log"
    result $? "gRPC, --all-present: one worker does not come back: status 4, with the reason (code $code)"
fi

if command -v mpirun >/dev/null 2>&1 && ! "$BUILD/draco-train" --transport=mpi 2>&1 | grep -q "built without"; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_hwloc_base_binding_policy=none
    command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
    mpi() { # OPTION...
        # shellcheck disable=SC2086
        timeout -k 3 $((150 + away)) mpirun --mca orte_allowed_exit_without_sync 1 -n 6 sh -c 'echo $$ >"$0/rank-$OMPI_COMM_WORLD_RANK"
            exec "$@"' "$dir" scripts/mpi_rank.sh "$BUILD/draco-train" $common --transport=mpi --metrics="$dir/mpi-metrics" "$@" >"$dir/mpi.log" 2>&1 &
        job=$!
        pids="$pids $!"
        wait_for '"step":20,' "$dir/mpi-metrics"
    }
    ranks() { for r in "$@"; do pgrep -P "$(cat "$dir/rank-$r")"; done; }
    # shellcheck disable=SC2086
    "$BUILD/draco-train" $common --steps=200 --params="$dir/openmp" >"$dir/openmp.log" 2>&1
    mpi --steps=200 --params="$dir/mpi" --deadline=1
    # shellcheck disable=SC2046
    kill -9 $(ranks 3)
    wait_for 'worker 2 (rank 3) is gone' "$dir/mpi.log"
    # shellcheck disable=SC2046
    kill -STOP $(ranks 1 2 4)
    wait_for 'waiting for the others' "$dir/mpi.log"
    sleep "$away"
    # shellcheck disable=SC2046
    kill -CONT $(ranks 1 2 4)
    wait $job
    code=$?
    [ $code -eq 0 ] && cmp -s "$dir/openmp" "$dir/mpi"
    result $? "MPI: one worker dead, three stopped for $away s: the same bytes (code $code)"
fi
echo "1..$number"
