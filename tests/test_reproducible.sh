#!/bin/sh
# One gradient and one model whatever computes them: every build of tests/support/models.c prints the digests of
# tests/golden/reproducible.txt, with every kernel of its processor. DRACO_STRESS=full: 20 steps, ResNet-18 and all builds.
. "$(dirname "$0")/support/tap.sh"
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
golden=$root/tests/golden/reproducible.txt
mkdir -p "$build/reproducible"
tmp=$(cd "$build/reproducible" && pwd)
quick="softmax logistic svm kmeans fc textcnn"
plain="-static -I$root/tests/support/plain"

# name | compiler | flags | emulator, - none needed | kernels | threads; `make check` runs the first four, with fewer models in an emulator
rows() {
    cat <<'ROWS'
x86-64 gcc -O3|gcc|-O3|-|avx512 avx2 plain|1 2 3
x86-64 clang -O0|clang|-O0|-|all|2
AArch64 gcc -O3|aarch64-linux-gnu-gcc|-O3 PLAIN|qemu-aarch64|all|2
s390x gcc -O3|s390x-linux-gnu-gcc|-O3 PLAIN|qemu-s390x|all|1
x86-64 gcc -O3 -march=x86-64-v3|gcc|-O3 -march=x86-64-v3|-|all plain|1
x86-64 gcc -O0|gcc|-O0|-|all avx512 avx2 plain|1 2 3
x86-64 clang -O3|clang|-O3|-|all avx512 avx2 plain|1 2 3
x86-64 clang -O3 -march=x86-64-v4|clang|-O3 -march=x86-64-v4|-|all plain|1
x86-64 without AVX|gcc|-O3 -static|qemu-x86_64 -cpu Nehalem|all|1
AArch64 gcc -O0|aarch64-linux-gnu-gcc|-O0 PLAIN|qemu-aarch64|all plain|1 2 3
AArch64 gcc -O3|aarch64-linux-gnu-gcc|-O3 PLAIN|qemu-aarch64|plain|1 2 3
s390x gcc -O0|s390x-linux-gnu-gcc|-O0 PLAIN|qemu-s390x|all|1 2 3
ROWS
}

# Every digest is golden, and those after the last step (of ResNet-18: of its gradient) are there for every model.
compare() { # MODEL...
    grep -Fxvf "$golden" "$tmp/out" >"$tmp/wrong"
    [ ! -s "$tmp/wrong" ] && [ "$(grep -c -e " model-$steps " -e 'resnet18 gradient' "$tmp/out")" -eq $# ]
}
explain() { head -n 12 "$tmp/wrong"; }

steps=2
limit=4
if [ "$DRACO_STRESS" = full ]; then
    steps=20
    limit=99
    quick="$quick lenet resnet resnet18"
fi
rows | head -n $limit >"$tmp/rows"
while IFS='|' read -r name compiler flags runner kernels threads; do
    program=$tmp/models
    flags=$(echo "$flags" | sed "s|PLAIN|$plain|")
    models=$quick
    [ -n "$runner" ] || [ "$DRACO_STRESS" = full ] || models="$quick lenet resnet"
    # zlib's header is that of this machine: others read plain files.
    libraries="-lm -lpthread"
    case $flags in *plain*) ;; *) libraries="-lz $libraries" ;; esac
    [ "$runner" != - ] || runner=
    if ! command -v "$compiler" >/dev/null || { [ -n "$runner" ] && ! command -v "${runner%% *}" >/dev/null; }; then
        result 0 "$name # SKIP no compiler or no emulator"
        continue
    fi
    # shellcheck disable=SC2086
    if ! $compiler -std=gnu11 -fopenmp $flags -I"$root" "$root/tests/support/models.c" -o "$program" $libraries >"$tmp/wrong" 2>&1; then
        result 1 "$name compiles"
        continue
    fi
    for kernel in $kernels; do
        for count in $threads; do
            # shellcheck disable=SC2086
            $runner "$program" $steps "$count" "$kernel" $models >"$tmp/out" 2>"$tmp/wrong" </dev/null
            code=$?
            if [ $code -eq 77 ]; then
                result 0 "$name, kernels $kernel # SKIP not on this processor"
            else
                [ $code -eq 0 ] && compare $models
                result $? "$name, kernels $kernel, $count thread(s)"
            fi
        done
    done
done <"$tmp/rows"
echo "1..$number"
