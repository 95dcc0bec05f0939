#!/bin/sh
# One run over gRPC whose workers compute with different kernels, and one of them on an emulated AArch64 processor, behind
# a pipe: all vote together, the two liars of every step are caught, and the parameters are those of one process.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d /tmp/draco-mixed-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 5 "$dir"/*.log; }
if [ ! -x "$BUILD/tests/peer_relay" ]; then
    echo "ok 1 - workers of several kinds # SKIP built without gRPC"
    exit 0
fi
common="--model=lenet --data=digits --train-samples=500 --test-samples=10 --seed=3 --workers=10 --adversaries=2 --batch=20
    --steps=4 --attack=reverse --who=fixed --progress=none --threads=1"
address=127.0.0.1:$((20000 + $$ % 20000))

# shellcheck disable=SC2086
$train $common --params="$dir/openmp" >"$dir/openmp.log" 2>&1
result $? "a run in one process to compare with"

# Worker 8, who is none of the liars, is emulated where that is possible, otherwise native: with the kernels that the processor has.
relay=
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    aarch64-linux-gnu-gcc -std=gnu11 -O2 -static -I"$root" -I"$root/tests/support/plain" "$root/tests/support/models.c" \
        -o "$dir/models" -lm -lpthread >"$dir/cc.log" 2>&1
    result $? "a program for AArch64"
    relay="qemu-aarch64 $dir/models serve 3"
fi
has() { "$train" $common --steps=1 --isa="$1" >/dev/null 2>&1; }
kinds=plain
for kind in avx2 avx512 neon; do
    # shellcheck disable=SC2086
    has $kind && kinds="$kinds $kind"
done
# shellcheck disable=SC2086
$train $common --transport=grpc --role=server --address=$address --wait=all --params="$dir/grpc" --metrics="$dir/metrics" >"$dir/server.log" 2>&1 &
server=$!
pids=$server
for i in 0 1 2 3 4 5 6 7 8 9; do
    # shellcheck disable=SC2086
    set -- $kinds
    shift $((i % $#))
    if [ $i -eq 8 ] && [ -n "$relay" ]; then
        # shellcheck disable=SC2086
        "$BUILD/tests/peer_relay" $address 8 10 2 20 3 $relay >"$dir/worker-$i.log" 2>&1 &
    else
        # shellcheck disable=SC2086
        $train $common --transport=grpc --role=worker --worker=$i --address=$address --isa="$1" >"$dir/worker-$i.log" 2>&1 &
    fi
    pids="$pids $!"
done
wait $server
result $? "workers with the kernels $kinds${relay:+, and one on AArch64}"
cmp -s "$dir/openmp" "$dir/grpc"
result $? "the parameters are those of the run in one process"
[ "$(grep -c '"blamed":\[1,9\].*"liars":\[1,9\]' "$dir/metrics")" -eq 4 ]
result $? "in every step the two liars are blamed and nobody else"
! grep -q 'different bits' "$dir/server.log"
result $? "the probe finds no difference"
echo "1..$number"
