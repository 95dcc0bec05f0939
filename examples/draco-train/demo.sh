#!/bin/sh
# The same network, data and liars, with several ways of combining the workers' gradients: demo.sh [BUILD]
#
# 15 workers, of which 3, drawn anew in every step, lie: they send -100 times their gradient (reverse), or collude to
# stay within the spread of the honest gradients and still lead the model astray (min-max). Each way is also trained
# without liars, and the last column compares the bytes of the two models.
# DRACO_DEMO=short: a few steps instead of a whole training, as a test. DEMO_STEPS=N: N steps.
set -u
build=${1:-build}
out=$build/demo
steps=60
samples=0
[ "${DRACO_DEMO:-}" = short ] && steps=2 && samples=1000
steps=${DEMO_STEPS:-$steps}
mkdir -p "$out"

run() { # METHOD ATTACK OPTION...
    name=$1-$2
    attack=$2
    shift 2
    echo
    echo "== $name"
    # A run whose parameters blow up ends with an error: that is a result here.
    "$build/draco-train" --model=fc --workers=15 --adversaries=3 --batch=150 --steps="$steps" --seed=1 \
        --attack="$attack" --test-samples="$samples" \
        --metrics="$out/$name.jsonl" --params="$out/$name.params" "$@" || [ $? -eq 5 ] || exit 1
}

field() { # FILE KEY: a value of the last line
    tail -n 1 "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

# METHOD ATTACKS OPTION...; the runs without liars compute each part once, which gives the same bits in less time.
method() {
    method=$1
    attacks=$2
    shift 2
    run "$method" none --share-parts "$@"
    for attack in $attacks; do run "$method" "$attack" "$@"; done
}

rm -f "$out"/*.jsonl "$out"/*.params
method mean "reverse min-max" --rule=mean
method geometric-median "reverse min-max" --rule=geometric-median
method repetition "reverse min-max" --code=repetition
method cyclic-complex "reverse min-max" --code=cyclic --field=complex
# Exact arithmetic is slow on one machine: fewer steps, one attack.
steps=$(((steps + 3) / 4))
method cyclic-prime "min-max" --code=cyclic --field=prime

row() { # METHOD ATTACK
    file=$out/$1-$2.jsonl
    [ -e "$file" ] || return 0
    label=$(head -n 1 "$file" | sed -n 's/.*"label":"\([^"]*\)".*/\1/p')
    same=no
    cmp -s "$out/$1-none.params" "$out/$1-$2.params" && same=yes
    printf '%s\n' "$(field "$file" accuracy) $(field "$file" server_seconds_per_step) $(field "$file" train_seconds) \
$(field "$file" caught) $(field "$file" lies) $(field "$file" updates)" |
        awk -v label="$label" -v attack="$2" -v same="$same" \
            '{ printf "%-22s %-8s %5d %8.2f%% %8.2f %8.1f %7d of %3d %11s\n", label, attack, $6, 100*$1, 1000*$2, $3, $4, $5, same }'
}

echo
printf '%-22s %-8s %5s %9s %8s %8s %14s %11s\n' "" "" "" "" "server" "" "lies" "same bytes"
printf '%-22s %-8s %5s %9s %8s %8s %14s %11s\n' "" "attack" "steps" "accuracy" "ms/step" "seconds" "caught" "as no liar"
for attack in reverse min-max; do
    for name in mean geometric-median repetition cyclic-complex cyclic-prime; do row $name $attack; done
done
echo "(The complex field decodes up to rounding; repetition and the prime field decode exactly.)"

echo
if "$build/draco_plot" "$out/accuracy.svg" "15 workers, 3 lie in every step (min-max)" "$out/mean-min-max.jsonl" \
    "$out/geometric-median-min-max.jsonl" "$out/repetition-min-max.jsonl" "$out/cyclic-complex-min-max.jsonl" \
    "$out/cyclic-prime-min-max.jsonl"; then
    echo "plot: $out/accuracy.svg"
fi
