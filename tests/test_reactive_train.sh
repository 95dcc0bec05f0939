#!/bin/sh
# Reactive redundancy as a user runs it: with liars, with and without eviction, over every transport, through kill -9 and
# --resume, the parameters have the bytes of the run without liars. DRACO_STRESS=full: 100 steps of the FC network under
# every attack; otherwise few steps of a small model.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d /tmp/draco-reactive-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 5 "$dir"/*.log; }
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none

steps=12
model=softmax
attacks="reverse challenge-agree sleeper"
if [ "${DRACO_STRESS:-}" = full ]; then
    steps=100
    model=fc
    attacks=$($train --attack=list | awk '$1 != "none" { print $1 }')
fi
common="--model=$model --data=digits --train-samples=1500 --test-samples=100 --batch=45 --steps=$steps --eval-every=0
    --redundancy=reactive --threads=1"
port=$((20000 + $$ % 12000))
killed=$((steps / 2))

openmp() {
    # shellcheck disable=SC2086
    timeout 300 "$train" $common --progress=none --params="$dir/p" "$@" >"$dir/openmp.log" 2>&1
}
# Rank 0, the server, is killed once the metrics have $kill lines.
mpi() {
    # shellcheck disable=SC2016,SC2086
    KILL=${kill:-} METRICS=$dir/m timeout -k 3 300 mpirun -n 16 sh -c '
        [ "$OMPI_COMM_WORLD_RANK" -eq 0 ] && [ "$KILL" ] || exec "$@"
        "$@" &
        while kill -0 $! && [ "$(wc -l <"$METRICS")" -lt "$KILL" ]; do sleep 0.02; done
        kill -KILL $!
        wait $!' sh "$train" $common --progress=none --params="$dir/p" --transport=mpi "$@" >"$dir/mpi.log" 2>&1
}
grpc() {
    port=$((port + 1))
    left=""
    for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
        # shellcheck disable=SC2086
        "$train" $common --progress=none --transport=grpc --role=worker --worker=$i --address=127.0.0.1:$port \
            >"$dir/worker.log" 2>&1 &
        left="$left $!"
    done
    pids="$pids $left"
    for try in first second; do
        [ $try = second ] && [ -z "${kill:-}" ] && break
        # shellcheck disable=SC2086
        timeout 300 "$train" $common --progress=none --params="$dir/p" --transport=grpc --role=server \
            --address=127.0.0.1:$port "$@" >"$dir/grpc.log" 2>&1 &
        server=$!
        pids="$pids $server"
        if [ $try = first ] && [ "${kill:-}" ]; then
            while kill -0 $server 2>/dev/null && [ "$(wc -l <"$dir/m")" -lt "$kill" ]; do sleep 0.02; done
            kill -KILL $(ps -o pid= --ppid $server) $server 2>/dev/null
        fi
        wait $server
        code=$?
    done
    # shellcheck disable=SC2086
    wait $left
    return $code
}
same() { # TEXT
    code=$?
    [ $code -eq 0 ] && cmp -s "$dir/p" "$dir/clean"
    result $? "$1"
    rm -f "$dir/p"
}
# No more than COUNT in all steps, from the metrics; only where no process can be late, which costs others' gradients.
gradients_within() { # COUNT TEXT
    [ "$how:$attack" = openmp:reverse ] || return 0
    awk -v most="$1" 'match($0, /"gradients":[0-9]*/) { sum += substr($0, RSTART + 12, RLENGTH - 12) }
        END { exit !(sum > 0 && sum <= most) }' "$dir/m"
    result $? "$2"
}

openmp
result $? "a run without liars to compare with"
mv "$dir/p" "$dir/clean"
transports=openmp
if command -v mpirun >/dev/null 2>&1 && ! $train --transport=mpi 2>&1 | grep -q "built without"; then transports="$transports mpi"; fi
$train --transport=grpc --role=worker 2>&1 | grep -q "built without" || transports="$transports grpc"

for how in $transports; do
    for attack in $attacks; do
        [ "$how" != openmp ] && [ "${DRACO_STRESS:-}" != full ] && [ "$attack" != reverse ] && continue
        rm -f "$dir/m"
        $how --attack="$attack" --metrics="$dir/m"
        same "$how: $attack: liars that are drawn in every step"
        gradients_within $((19 * steps)) "and at most 3.8 gradients a step and part"
        rm -f "$dir/m"
        $how --attack="$attack" --who=fixed --evict-after=2 --metrics="$dir/m"
        same "$how: $attack: liars that are evicted"
        gradients_within $((2 * 19 + 5 * (steps - 2))) "and then one"
    done
    rm -f "$dir/m" "$dir"/k*
    : >"$dir/m"
    options="--attack=reverse --who=fixed --evict-after=3 --checkpoint=$dir/k --checkpoint-every=2 --resume --metrics=$dir/m"
    kill=$killed
    if [ "$how" = openmp ]; then
        # shellcheck disable=SC2086
        "$train" $common --progress=none $options >"$dir/openmp.log" 2>&1 &
        while kill -0 $! 2>/dev/null && [ "$(wc -l <"$dir/m")" -lt $killed ]; do :; done
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
        # shellcheck disable=SC2086
        openmp $options
    elif [ "$how" = mpi ]; then
        # shellcheck disable=SC2086
        mpi $options
        kill=""
        # shellcheck disable=SC2086
        mpi $options
    else
        # shellcheck disable=SC2086
        grpc $options
    fi
    same "$how: a server that is killed and goes on"
    kill=""
    [ "$(grep -c '"event":"evict"' "$dir/m")" -eq 2 ]
    result $? "and names each liar once"
done

# ---- Going on with others, with another plan, with too few ----

rm -f "$dir/m" "$dir"/k*
options="--attack=reverse --who=fixed --evict-after=1 --checkpoint=$dir/k --resume --metrics=$dir/m"
# shellcheck disable=SC2086
openmp $options --steps=6 && openmp $options --steps=$steps --readmit=worker-3,10
same "workers that are readmitted change no bit"
[ "$(grep -c '"event":"evict"' "$dir/m")" -eq 4 ]
result $? "and are proved liars again"
# shellcheck disable=SC2086
openmp $options --readmit=15
[ $? -eq 2 ] && grep -q "there is no worker '15'" "$dir/openmp.log"
result $? "a worker that is none is refused"
# shellcheck disable=SC2086
openmp $options --redundancy=full
[ $? -eq 2 ] && grep -q "redundancy is 'reactive', but 'full' in this run" "$dir/openmp.log"
result $? "another redundancy is refused, and named"

openmp --replan=5:13
mv "$dir/p" "$dir/clean"
rm -f "$dir/m" "$dir"/k*
# shellcheck disable=SC2086
openmp $options --replan=5 --steps=7 && openmp $options --replan=5
same "a new plan: the bytes of that plan without liars, also after going on"
grep -q '{"event":"replan","step":4,"parts":13}' "$dir/m"
result $? "and says how many parts there are"
openmp --replan=5:3
[ $? -eq 2 ] && grep -q "3 parts are not between the 5 of the code" "$dir/openmp.log"
result $? "fewer parts than before are refused"
openmp --redundancy=full --replan=5
[ $? -eq 2 ] && grep -q "requires --redundancy=reactive" "$dir/openmp.log"
result $? "--replan without a reactive code is refused"
for bad in 0 x 5: 5:0 5:13x; do
    openmp --replan=$bad
    [ $? -eq 2 ] && grep -q "not a step, or STEP:PARTS" "$dir/openmp.log"
    result $? "--replan=$bad is refused"
done
rm -f "$dir"/k*
openmp --attack=reverse --who=fixed --liars=4 --evict-after=1 --policy=stop --checkpoint="$dir/k"
[ $? -eq 3 ] && [ -f "$dir/k" ] && grep -q "no member sent a message that 3 agree with\|members contradict" "$dir/openmp.log"
result $? "more liars than s: the run stops, with a reason and a checkpoint"
echo "1..$number"
