#!/bin/sh
# draco-train over gRPC with K = 1, 2, 3 servers ends alike in every process: trained, undecodable, a server that cannot
# write, a signal to one server, a server that is killed.
. "$(dirname "$0")/support/grpc.sh"
explain() { tail -n 4 "$dir"/*.log; }
common="--transport=grpc --model=softmax --data=digits --train-samples=500 --test-samples=100 --workers=5 --adversaries=1
    --batch=20 --seed=3 --threads=1 --eval-every=0 --progress=plain --deadline=20 --join-seconds=20"
port=$((20000 + $$ % 12000))

start() { # SERVERS OPTION...: all processes of a run; servers=their pids
    k=$1
    shift
    rm -f "$dir"/*.log
    servers="" workers="" addresses=""
    port=$((port + 10))
    for i in $(seq 0 $((k - 1))); do
        hub=""
        [ "$k" -eq 1 ] || hub="--hub=127.0.0.1:$((port + 9))"
        # shellcheck disable=SC2086
        timeout -k 3 200 $train $common --role=server --servers="$k" --server="$i" --address=127.0.0.1:$((port + i)) $hub "$@" \
            >"$dir/server-$i.log" 2>&1 &
        servers="$servers $!"
        addresses="$addresses,127.0.0.1:$((port + i))"
    done
    for i in 0 1 2 3 4; do
        # shellcheck disable=SC2086
        timeout -k 3 200 $train $common --role=worker --worker=$i --servers="$k" --address="${addresses#,}" \
            >"$dir/worker-$i.log" 2>&1 &
        workers="$workers $!"
    done
    pids="$pids $servers $workers"
}
same() { # STATUS WHAT [PROCESS...]: the exit status of these, or of all
    status=$1
    what=$2
    shift 2
    # shellcheck disable=SC2086
    [ $# -gt 0 ] || set -- $servers $workers
    codes=""
    other=0
    for p in "$@"; do
        wait "$p"
        code=$?
        codes="$codes $code"
        [ $code -eq "$status" ] || other=1
    done
    result $other "$k server(s), $what: exit status $status in every process (servers, workers:$codes)"
}
steps() { # wait until the run has made a step
    i=0
    until grep -q '^step' "$dir"/server-*.log 2>/dev/null || [ $i -ge 200 ]; do sleep 0.1; i=$((i + 1)); done
}

for k in 1 2 3; do
    start $k --steps=6
    same 0 "trained"
    [ "$(cat "$dir"/server-*.log | grep -c '^test accuracy')" -eq 1 ]
    result $? "$k server(s): the accuracy is told once"

    start $k --steps=1000000 --eval-every=5 --checkpoint="$dir/stopped"
    steps
    for p in $servers; do term=$p; done
    kill -TERM "$(pgrep -P "$term")"
    same 130 "SIGTERM to the last of them"
    [ "$(find "$dir" -name 'stopped*' -size +0 ! -name '*.lock' | wc -l)" -ge "$k" ]
    result $? "$k server(s): each has left a checkpoint"
    rm -f "$dir"/stopped*
done

start 3 --steps=50 --attack=gaussian --liars=4 --who=worst --policy=stop
same 3 "undecodable"
mkdir "$dir/checkpoint.1" # the second server's file cannot be written
start 3 --steps=50 --checkpoint="$dir/checkpoint"
# shellcheck disable=SC2086
same 2 "one of them cannot write its checkpoint" $servers # a worker may come when they have left

# The first of them is the hub of the others.
for which in first last; do
    start 3 --steps=1000000 --eval-every=5
    steps
    # shellcheck disable=SC2086
    if [ $which = first ]; then set -- $servers; killed=$1; left="$2 $3"; else killed=${servers##* } left=${servers% *}; fi
    begin=$(date +%s)
    kill -9 "$(pgrep -P "$killed")"
    # shellcheck disable=SC2086
    same 4 "the $which of them is killed" $left $workers
    [ $(($(date +%s) - begin)) -lt 30 ]
    result $? "the $which of 3 servers is killed: the others end in $(($(date +%s) - begin)) s"
done

# shellcheck disable=SC2086
$train $common --role=server --steps=1 --servers=4 --server=0 --address=127.0.0.1:$port --hub=127.0.0.1:$((port + 9)) >"$dir/server-0.log" 2>&1
[ $? -eq 2 ] && grep -q 'parameters are too few for 4 servers' "$dir/server-0.log"
result $? "more servers than blocks of parameters: 2, and why"
echo "1..$number"
