#!/bin/sh
# The proof that liars leave no trace in the model: proof.sh [BUILD [OPTION...]], OPTIONs of draco-train.
#
# 15 workers train without liars, with 3 that reverse their gradients and with 3 that collude (min-max); first with
# Draco, then with a mean and a geometric median. Each run prints the model's accuracy and the digest of its bytes.
# Exit status 0: Draco's three models are the same bytes.
set -u
build=${1:-build}
[ $# -gt 0 ] && shift
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

run() { # LABEL ATTACK OPTION...
    label=$1
    attack=$2
    shift 2
    # A run that diverges ends with exit status 5: that is a result here. Its model is not finite.
    "$build/draco-train" --adversaries=3 --steps=60 --attack="$attack" --metrics="$out" --progress=none "$@" >/dev/null 2>&1
    code=$?
    [ $code -eq 0 ] || [ $code -eq 5 ] || { echo "proof.sh: draco-train ended with exit status $code" >&2 && exit 1; }
    model=$(tail -n 1 "$out" | sed -n 's/.*"model_digest":"\([0-9a-f]*\)".*/\1/p')
    accuracy=$(tail -n 1 "$out" | sed -n 's/.*"accuracy":\([0-9.e-]*\).*/\1/p')
    [ $code -eq 0 ] || model="diverged"
    printf '%-18s %-9s %7.2f%%  %s\n' "$label" "$attack" "$(echo "${accuracy:-0}" | awk '{ print 100 * $1 }')" "$model"
}

printf '%-18s %-9s %8s  %s\n' "" "simulated" "accuracy" "digest of the model"
first=
same=yes
for attack in none reverse min-max; do
    run "DRACO repetition" $attack "$@"
    first=${first:-$model}
    [ "$model" = "$first" ] && [ -n "$model" ] && [ "$model" != diverged ] || same=no
done
for rule in geometric-median mean; do
    for attack in none reverse min-max; do run "$rule" $attack --rule=$rule "$@"; done
done
echo "DRACO: the same bytes three times: $same"
[ $same = yes ]
