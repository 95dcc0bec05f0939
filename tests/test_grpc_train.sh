#!/bin/sh
# draco-train over gRPC, as a user runs it: the parameters of the OpenMP run, also through a server that is killed and
# resumed and workers that are killed and started again; SIGTERM ends everybody in seconds.
. "$(dirname "$0")/support/grpc.sh"
explain() { tail -n 5 "$dir"/*.log; }
common="--model=softmax --data=digits --train-samples=2000 --test-samples=200 --workers=5 --adversaries=1 --batch=60
    --progress=none --threads=1"
port=$((20000 + $$ % 12000))
address=127.0.0.1:$port
sh scripts/make_test_ca.sh "$dir" 5 1 || exit 1
tls="--ca=$dir/ca.pem"

worker() { # INDEX
    # shellcheck disable=SC2086
    $train $common $tls --cert="$dir/worker-$1.pem" --key="$dir/worker-$1.key" --transport=grpc --role=worker \
        --worker="$1" --address="$address" >"$dir/worker-$1.log" 2>&1 &
    eval "worker$1=$!"
    pids="$pids $!"
}
server() { # OPTION...
    # shellcheck disable=SC2086
    $train $common $tls --cert="$dir/server-0.pem" --key="$dir/server-0.key" --transport=grpc --role=server \
        --address="$address" --wait=all "$@" >>"$dir/server.log" 2>&1 &
    server=$!
    pids="$pids $!"
}
wait_workers() { # SECONDS STATUS: 0 when all have left by then, with this exit status
    left=$1
    for i in 0 1 2 3 4; do
        eval "pid=\$worker$i"
        while kill -0 "$pid" 2>/dev/null && [ "$left" -gt 0 ]; do sleep 1; left=$((left - 1)); done
        kill -0 "$pid" 2>/dev/null && return 1
        wait "$pid"
        [ $? -eq "$2" ] || return 1
    done
}

# shellcheck disable=SC2086
$train $common --steps=60 --params="$dir/openmp" >"$dir/openmp.log" 2>&1
result $? "the OpenMP run"

for i in 0 1 2 3 4; do worker $i; done # before the server
sleep 1
server --steps=60 --params="$dir/grpc" --ledger="$dir/ledger"
wait $server
result $? "a server and five workers over mutual TLS"
wait_workers 10 0
result $? "the workers leave in peace"
cmp -s "$dir/openmp" "$dir/grpc"
result $? "the parameters are those of the OpenMP run"
[ "$(grep -c '"worker":\([0-9]\),"name":"worker-\1","address":"[^"]' "$dir/ledger")" -eq 5 ]
result $? "the ledger has the names in the certificates, and addresses"

for i in 0 1 2 3 4; do worker $i; done
server --steps=100000 --checkpoint="$dir/checkpoint" --checkpoint-every=10 --deadline=10
i=0
while [ ! -s "$dir/checkpoint" ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
for other in l2=0.5 "train-samples=4000 --held-out=0.5"; do # the second: as many samples, but other ones
    # shellcheck disable=SC2086
    timeout 20 $train $common $tls --cert="$dir/worker-4.pem" --key="$dir/worker-4.key" --transport=grpc --role=worker --worker=4 \
        --address="$address" --$other >"$dir/other.log" 2>&1
    [ $? -eq 2 ] && grep -q 'the configurations differ: \(l2=0.5\|data-digest=[0-9a-f]*\) there' "$dir/other.log"
    result $? "a worker with --$other is refused, with what differs"
done
eval "kill -9 \$worker3" # missing from now on, within what the code carries … until it is back
sleep 0.5
worker 3
sleep 1
kill -9 $server
wait $server 2>/dev/null
: >"$dir/refused"
server --steps=100000 --resume --checkpoint="$dir/checkpoint" --deadline=10 --refused="$dir/refused"
i=0
while ! grep -q "worker 4 joined" "$dir/server.log" && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
openssl x509 -in "$dir/worker-2.pem" >>"$dir/refused" # revoked while the run goes on
i=0
while kill -0 "$worker2" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
wait "$worker2"
[ $? -eq 2 ] && grep -q "the certificate of worker-2 is on the list of refused ones" "$dir/server.log"
result $? "a worker whose certificate is refused during the run is cut off, with exit status 2"
RENEW=worker-2 sh scripts/make_test_ca.sh "$dir" 5 1 >/dev/null && worker 2
i=0
while [ "$(grep -c "worker 2 joined" "$dir/server.log")" -lt 3 ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
[ $i -lt 100 ]
result $? "with a new certificate it takes part again"
begin=$(date +%s)
kill -TERM $server
wait $server
code=$?
[ $(($(date +%s) - begin)) -le 6 ] && [ $code -eq 130 ] && [ -s "$dir/checkpoint.older-1" ] && [ ! -e "$dir/checkpoint.lock" ]
result $? "SIGTERM ends a resumed server within seconds, with a checkpoint (exit code $code)"
wait_workers 10 130
result $? "and its workers, who know that the run has not come to its end"
echo "1..$number"
