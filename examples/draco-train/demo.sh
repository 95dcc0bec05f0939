#!/bin/sh
# The same network, data and liars, five ways of putting the workers' gradients together: demo.sh BUILD
# 15 workers; in every step 2 of them, drawn anew, send -100 times their gradient.
set -u
build=${1:-build}
out=$build/demo
steps=${DEMO_STEPS:-100}
mkdir -p "$out"

run() { # NAME OPTION...
    name=$1
    shift
    echo
    echo "== $name"
    # A run whose parameters blow up ends with an error: that is a result here.
    "$build/draco-train" --model=fc --workers=15 --adversaries=2 --liars=2 --attack=reverse --steps="$steps" \
        --batch=150 --optimizer=momentum --lr=0.04 --schedule=cosine --seed=1 \
        --metrics="$out/$name.jsonl" "$@" || [ $? -eq 1 ] || exit 1
}

field() { # FILE KEY: a value of the last line
    tail -n 1 "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

run mean --rule=mean
run geometric-median --rule=geometric-median
run repetition --code=repetition
run cyclic-complex --code=cyclic --field=complex
run cyclic-prime --code=cyclic --field=prime

echo
printf '%-32s %9s %16s %9s %18s %8s\n' "" "accuracy" "server ms/step" "seconds" "liars caught" "wrongly"
for name in mean geometric-median repetition cyclic-complex cyclic-prime; do
    file=$out/$name.jsonl
    label=$(head -n 1 "$file" | sed -n 's/.*"label":"\([^"]*\)".*/\1/p')
    printf '%s\n' "$(field "$file" accuracy) $(field "$file" server_seconds_per_step) $(field "$file" train_seconds) \
$(field "$file" caught) $(field "$file" lies) $(field "$file" blamed_wrongly)" |
        awk -v label="$label" '{ printf "%-32s %8.2f%% %16.2f %9.1f %11d of %3d %8d\n", label, 100*$1, 1000*$2, $3, $4, $5, $6 }'
done

echo
if "$build/draco_plot" "$out/accuracy.svg" "15 workers, 2 lie in every step" "$out/mean.jsonl" "$out/geometric-median.jsonl" \
    "$out/repetition.jsonl" "$out/cyclic-complex.jsonl" "$out/cyclic-prime.jsonl"; then
    echo "plot: $out/accuracy.svg"
fi
