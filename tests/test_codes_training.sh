#!/bin/sh
# Training with the cyclic code while nobody lies: gradients that come to cancel each other as the batch is the whole data
# set, k-means, whose gradients are mostly zeros. No worker is blamed or suspected in any step, in either field, and no
# round is refused.
train=${BUILD:-build}/draco-train
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"

times=1
[ "${DRACO_STRESS:-}" != full ] || times=20

honest() { # TEXT STEPS OPTION...
    text=$1
    steps=$(($2 * times))
    shift 2
    for field in complex prime; do
        timeout 600 "$train" --code=cyclic --field=$field --attack=none --progress=none --steps="$steps" \
            --metrics="$dir/metrics" "$@" >"$dir/out" 2>&1 &&
            [ "$(grep -c '"status":"good".*"blamed":\[\],"suspected":\[\],"absent":\[\],"malformed":\[\]' "$dir/metrics")" -eq "$steps" ]
        result $? "$field field, $steps steps, nobody is named: $text"
    done
}

honest "k-means at (3, 1)" 50 --model=kmeans --workers=3 --adversaries=1 --optimizer=sgd --batch=3000
honest "softmax on its whole data set at (15, 2)" 100 --model=softmax --data=digits --train-samples=150 \
    --batch=150 --workers=15 --adversaries=2 --lr=0.5
honest "logistic on its whole data set at (7, 3), where everybody holds everything" 60 --model=logistic --data=digits \
    --train-samples=140 --batch=140 --workers=7 --adversaries=3 --lr=0.5
honest "softmax with Adam at (7, 2)" 60 --model=softmax --data=digits --train-samples=210 --batch=70 --workers=7 \
    --adversaries=2 --optimizer=adam

echo "1..$number"
