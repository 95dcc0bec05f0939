#!/bin/sh
# The complex field gives the same bits whatever the compiler: with fused multiply-adds, without, vectorised or not.
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"

cat >"$dir/bits.c" <<'END'
#include "support/codes_adversary.h"
int main(void) {
    uint64_t rng = 7, digest = 0;
    for (int k = 0; k < 60; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, k % 2 ? 45 : 15, k % 2 ? 5 : 3, 0);
        step now = step_room(code, 200);
        bench b = bench_open(code, 200);
        int liars[DRACO_MAX_WORKERS], count = k % (code.s + 1);
        for (size_t i = 0; i < 200 * (size_t)code.n; i++) now.gradients[i] = (float)((int)(rng_next(&rng) >> 40) - (1 << 23));
        step_encode(&now);
        choose(liars, count, code.n, k % 3 == 0, &rng);
        bench_fill(&b, &now, liars, count, 0);
        for (int i = 0; i < count; i++) ((float *)(void *)bench_lie(&b, &now, liars[i]))[i] *= 1.25f;
        draco_status status = bench_decode(&b, &now, &rng);
        const unsigned char *parts[] = {now.messages, (unsigned char *)b.weights, (unsigned char *)b.sum,
                                        (unsigned char *)b.verdicts, (unsigned char *)&b.report.error};
        size_t bytes[] = {(size_t)code.n * now.bytes, 16 * (size_t)code.n, 800, (size_t)code.n * sizeof *b.verdicts, 8};
        for (int p = 0; p < 5; p++)
            for (size_t i = 0; i < bytes[p] && (status >= 0 || p % 3 == 0); i++) digest = digest * 1099511628211u + parts[p][i];
        bench_close(&b);
        step_free(&now);
    }
    printf("%016llx\n", (unsigned long long)digest);
    return 0;
}
END
for how in "gcc -O0" "gcc -O3 -march=native" "gcc -O3 -march=native -DDRACO_CODES_NO_SIMD" \
    "clang -O3 -march=native"; do
    if ! command -v "${how%% *}" >/dev/null 2>&1; then
        number=$((number + 1))
        echo "ok $number - the complex field's bits: $how # SKIP not installed"
        continue
    fi
    # shellcheck disable=SC2086
    $how -std=gnu11 -w -I"$root" -I"$root/tests" "$dir/bits.c" -o "$dir/bits" -lcmocka -lm >"$dir/out" 2>&1 &&
        timeout 100 "$dir/bits" >"$dir/digest" 2>&1
    code=$?
    [ -s "$dir/first" ] || cp "$dir/digest" "$dir/first"
    [ $code -eq 0 ] && cmp -s "$dir/first" "$dir/digest"
    result $? "the complex field's bits: $how: $(cat "$dir/digest")"
done
echo "1..$number"
