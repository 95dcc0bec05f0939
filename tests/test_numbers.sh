#!/bin/sh
# How a thread rounds and whether it flushes denormal numbers is set right, said, and checked by arithmetic that says what
# differs: at the start, where a library did it, and at each request, where one does it later.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 8 "$dir/out" "$dir/err" "$dir"/worker-* 2>/dev/null; }
small="--model=softmax --data=digits --train-samples=600 --test-samples=100 --batch=30 --threads=2 --progress=none"

"$BUILD/tests/peer_train" --numbers >"$dir/out" 2>&1
grep -q '^plain: $' "$dir/out" && grep -q '^after: $' "$dir/out"
result $? "with the modes set right this machine computes the bits of all others"
grep -q '^upward: rounding, denormal numbers, .*exp' "$dir/out" && grep -q '^said: rounding was not to nearest: ' "$dir/out"
result $? "rounding upward: seen, named and set right"
if [ "$(uname -m)" = x86_64 ]; then
    grep -q '^flush: denormal numbers$' "$dir/out" && grep -q '^said: denormal numbers were flushed to zero: ' "$dir/out"
    result $? "flushing to zero: seen, named and set right"
fi

# A library that changes the modes before main, as those that were compiled with -ffast-math do.
cat >"$dir/modes.c" <<'END'
#include <fenv.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif
__attribute__((constructor)) static void change(void) {
    fesetround(FE_UPWARD);
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
}
END
if ${CC:-cc} -O1 -shared -fPIC "$dir/modes.c" -o "$dir/modes.so" -lm 2>/dev/null; then
    # shellcheck disable=SC2086
    plain=$("$train" $small --steps=30 2>"$dir/err")
    # shellcheck disable=SC2086
    changed=$(LD_PRELOAD=$dir/modes.so "$train" $small --steps=30 2>"$dir/err")
    [ -n "$plain" ] && [ "$plain" = "$changed" ] && [ "$(grep -c 'rounding was not to nearest' "$dir/err")" -eq 1 ]
    result $? "a library that changes the modes: said once, and the model has the same bytes"
else
    result 0 "a library that changes the modes # SKIP no shared libraries"
fi

if "$train" --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    result 0 "modes that change later # SKIP built without gRPC"
else
    common="$small --threads=1 --steps=20 --workers=3 --adversaries=1 --transport=grpc --address=unix:$dir/socket"
    # shellcheck disable=SC2086
    timeout 60 "$train" $common --no-probe --wait=all --ledger="$dir/ledger" >"$dir/out" 2>"$dir/err" &
    server=$!
    i=0
    for fault in none none drift; do
        # shellcheck disable=SC2086
        PEER_FAULT=$fault timeout 60 "$BUILD/tests/peer_train" $common --role=worker --worker=$i >"$dir/worker-$i" 2>&1 &
        i=$((i + 1))
    done
    wait $server
    [ "$(grep -c '^draco-train: worker 2: rounding was not to nearest: it is set right$' "$dir/worker-2")" -eq 1 ] &&
        [ "$(sed -n 's/^{"worker":2,.*"blamed":\([0-9]*\),.*/\1/p' "$dir/ledger")" -le 1 ]
    result $? "modes that change in the middle: set right at the next request, and said by the worker"
fi
echo "1..$number"
