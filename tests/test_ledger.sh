#!/bin/sh
# Which machine is it? Workers of which each has another fault are named by the server, with the kind and how often, and
# nobody else is; the model is the one of honest workers. The ledger goes on through a checkpoint.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d /tmp/draco-ledger-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 25 "$dir/out" "$dir/err" "$dir"/worker-*.log 2>/dev/null; }
export OMP_NUM_THREADS=1
small="--model=softmax --data=digits --train-samples=600 --test-samples=100 --threads=1"

# The number behind a key of a worker in a ledger.
count() { # FILE WORKER KEY
    sed -n "s/^{\"worker\":$2,.*\"$3\":\([0-9]*\),.*/\1/p" "$1"
}
counts() { # FILE WORKER "KEY=NUMBER ...": are they so?
    for pair in $3; do
        [ "$(count "$1" "$2" "${pair%=*}")" = "${pair#*=}" ] || return 1
    done
}
nothing="blamed=0 suspected=0 malformed=0 gone=0 slow=0 losses=0"

# ---- In one process ----

# shellcheck disable=SC2086
$train $small --batch=30 --steps=12 --attack=reverse --who=fixed --progress=plain --ledger="$dir/l" --metrics="$dir/m" >"$dir/out" 2>"$dir/err"
result $? "a run with two liars that stay"
liars=$(sed -n 's/^step 1: blamed: worker \([0-9]*\), worker \([0-9]*\)$/\1 \2/p' "$dir/out")
good=0
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    blamed=0
    for liar in $liars; do [ "$liar" = $i ] && blamed=12; done
    counts "$dir/l" $i "present=12 blamed=$blamed suspected=0 malformed=0 gone=0 slow=0 late=0" || good=1
done
[ -n "$liars" ] && [ $good -eq 0 ]
result $? "the ledger has each liar blamed 12 times, and nobody else"
[ "$(grep -c 'blamed from step 1 to step 12' "$dir/out")" -eq 2 ] && grep -q '"event":"end".*"workers":\[{"worker":0,' "$dir/m"
result $? "so do the table at the end and the metrics"
python3 -c 'import json, sys; l = json.load(open(sys.argv[1])); sys.exit(len(l["workers"]) != 15 or l["rounds"] != 12)' "$dir/l"
result $? "the file is JSON"
# shellcheck disable=SC2086
$train $small --batch=30 --steps=12 --attack=reverse --fail-on-blame --progress=none >"$dir/out" 2>"$dir/err"
[ $? -eq 6 ]
result $? "--fail-on-blame: exit status 6"
# shellcheck disable=SC2086
$train $small --batch=30 --steps=12 --fail-on-blame --metrics="$dir/m" --progress=plain >"$dir/out" 2>"$dir/err" &&
    ! grep -q 'wrongly\|caught\|something to say' "$dir/out" && ! grep -q 'wrongly\|caught' "$dir/m"
result $? "nobody lies: exit status 0, no table, and nothing that only a simulation knows"

# A run in three pieces has the ledger of one in one piece.
for steps in 3 7 12; do
    # shellcheck disable=SC2086
    $train $small --batch=30 --steps=$steps --attack=reverse --who=fixed --checkpoint="$dir/c" --resume --ledger="$dir/pieces" \
        --progress=none >"$dir/out" 2>"$dir/err"
done
fields() { sed 's/"mean_seconds.*//' "$1"; }
[ "$(fields "$dir/l")" = "$(fields "$dir/pieces")" ]
result $? "it goes on through checkpoints"

# ---- Workers with faults, processes of their own ----

if $train --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    result 0 "workers with faults # SKIP built without gRPC"
    echo "1..$number"
    exit 0
fi
common="$small --workers=10 --adversaries=3 --stragglers=3 --batch=20 --steps=50 --progress=none --transport=grpc"
address=unix:$dir/socket
# shellcheck disable=SC2086
$train $small --workers=10 --adversaries=3 --stragglers=3 --batch=20 --steps=50 --progress=none --params="$dir/honest" >"$dir/out" 2>"$dir/err"
result $? "the run of honest workers"

worker() { # INDEX FAULT OPTION...
    i=$1
    fault=$2
    shift 2
    # shellcheck disable=SC2086
    PEER_SECONDS=5 PEER_FAULT=$fault "$BUILD/tests/peer_train" $common --role=worker --address="$address" --worker="$i" "$@" \
        >"$dir/worker-$i.log" 2>&1 &
    pids="$pids $!"
}
# 0 upward, 1 another L2 term, 2 one bit in one step of fifty, 3 slow, 4 killed, 5 set up differently, the others honest.
# shellcheck disable=SC2086
$train $common --role=server --address="$address" --progress=plain --wait=all --deadline=3 --join-seconds=4 --no-probe \
    --params="$dir/p" --ledger="$dir/l" >"$dir/out" 2>"$dir/err" &
server=$!
pids="$pids $server"
worker 0 upward
worker 1 l2
worker 2 flip
worker 3 slow
worker 4 die
worker 5 none --l2=0.25
for i in 6 7 8 9; do worker $i none; done
wait $server
result $? "a run with six workers that each have another fault"
cmp -s "$dir/p" "$dir/honest"
result $? "the model has the bytes of honest workers"
counts "$dir/l" 0 "present=50 malformed=0 gone=0 slow=0 losses=0" && [ "$(count "$dir/l" 0 blamed)" -ge 10 ]
result $? "rounding upward: blamed in each round whose bits it changes"
counts "$dir/l" 1 "present=50 blamed=50 malformed=0 gone=0 slow=0 losses=0"
result $? "another L2 term: blamed in 50 of 50 rounds"
counts "$dir/l" 2 "present=50 blamed=1 malformed=0 gone=0 slow=0 losses=0" && grep -q '"worker":2,.*"first_blamed":25,"last_blamed":25,' "$dir/l"
result $? "one flipped bit: blamed once, in step 26"
counts "$dir/l" 3 "blamed=0 malformed=0 gone=0 slow=2 losses=0"
result $? "slow in two steps: absent because it was slow, twice"
counts "$dir/l" 4 "present=20 blamed=0 malformed=0 slow=0 gone=30 joins=1 losses=1"
result $? "killed in step 21: gone in 30 rounds, lost once"
counts "$dir/l" 5 "present=0 blamed=0 malformed=0 slow=0 gone=50 joins=0" && [ "$(count "$dir/l" 5 refusals)" -ge 1 ] &&
    grep -q '"worker":5,.*l2=0.25' "$dir/l"
result $? "set up differently: refused, with what differs"
good=0
for i in 6 7 8 9; do counts "$dir/l" $i "present=50 joins=1 $nothing" || good=1; done
result $good "nobody else is named"
grep -q '^step 1: blamed: worker 0 ([^)]*), worker 1 ([^)]*); gone: worker 5' "$dir/out"
result $? "a line on the screen names them in the first round"
echo "1..$number"
