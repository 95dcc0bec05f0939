#!/bin/sh
# The trainer's command line: wrong input is one line on stderr, exit code 2 and no file; runs end as they should.
train=${BUILD:-build}/draco-train
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"

# Refused: exit code 2, one line on stderr that names the culprit, no file written.
refused() { # PATTERN TEXT OPTION...
    pattern=$1
    text=$2
    shift 2
    rm -f "$dir/metrics" "$dir/plot.svg" "$dir/params"
    "$train" --metrics="$dir/metrics" --plot="$dir/plot.svg" --params="$dir/params" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
    lines=$(wc -l <"$dir/err")
    if [ $code -eq 2 ] && [ "$lines" -eq 1 ] && grep -q -- "$pattern" "$dir/err" && [ ! -e "$dir/metrics" ] &&
        [ ! -e "$dir/plot.svg" ] && [ ! -e "$dir/params" ]; then
        result 0 "$text"
    else
        result 1 "$text"
        echo "# exit code $code, stderr:"
        sed 's/^/# /' "$dir/err"
    fi
}

small="--data=digits --train-samples=600 --test-samples=100 --model=softmax --batch=30 --threads=1"

refused 'unknown option' "an unknown option" --colour=blue
refused 'missing value after' "an option without its value" --workers
refused 'whole number' "a number that is none" --workers=many
refused 'out of range' "s < 0" --adversaries=-1
refused 'n >= r' "n < r" --workers=4 --adversaries=2
refused 'smaller than the' "a batch smaller than the parts" --data=digits --workers=15 --code=cyclic --batch=10
refused 'unknown name' "an unknown model" --model=perceptron9
refused 'unknown name' "an unknown code" --code=hamming
refused 'unknown rule' "an unknown rule" --data=digits --rule=wisdom
refused 'unknown' "an unknown attack" --data=digits --attack=bribe
refused 'require --code=repetition' "a challenge with a cyclic code" --code=cyclic --vote=challenge
refused '--field requires --code=cyclic' "a field without the cyclic code" --field=prime
refused '--role requires --transport=grpc' "a role without gRPC" --role=worker
refused 'excludes --code=cyclic' "a rule together with a code" --code=cyclic --rule=mean
refused '--checkpoint-every requires --checkpoint' "checkpoints without a file" --checkpoint-every=5
refused 'more than' "more liars than workers" --workers=5 --adversaries=2 --attack=reverse --liars=6
refused '--liars requires --attack' "liars without an attack" --liars=1
refused '--who requires --attack' "chosen liars without an attack" --attack=none --who=worst
refused 'unexpected argument' "a word that is no option" somewhere
refused 'nowhere' "a data folder that is not there" --data=mnist --data-dir="$dir/nowhere"
# shellcheck disable=SC2086
refused 'not-there' "a checkpoint that is not there" $small --checkpoint="$dir/not-there" --resume=must
refused '--resume requires --checkpoint' "going on from no checkpoint" --resume
# shellcheck disable=SC2086
refused 'GiB' "a run that does not fit into memory" $small --model=fc --workers=4000 --adversaries=1 --rule=mean --batch=4000 --share-parts --threads=4000

# shellcheck disable=SC2086
refused 'requires --model=textcnn' "word vectors for a model without words" $small --word2vec="$dir/vectors"
words="--data=sentences --train-samples=120 --test-samples=40 --model=textcnn --batch=15 --steps=1 --threads=1"
printf 'no vectors here\n' >"$dir/vectors"
# shellcheck disable=SC2086
refused 'vectors' "a file that holds no word vectors" $words --word2vec="$dir/vectors"

for option in params checkpoint plot; do
    # shellcheck disable=SC2086
    refused 'nowhere' "--$option in a folder that is not there" $small --steps=1 --$option="$dir/nowhere/x.svg"
    # shellcheck disable=SC2086
    mkdir -p "$dir/folder.svg" && refused 'folder' "--$option is a folder" $small --steps=1 --$option="$dir/folder.svg"
done
# shellcheck disable=SC2086
refused 'ends in .svg' "a plot that is no .svg" $small --steps=1 --plot="$dir/plot.png"

# IDX files, 20 images of 28 x 28.
bytes() { # COUNT: that many zeros
    head -c "$1" /dev/zero
}
images() { # FILE COUNT
    { printf '\000\000\010\003\000\000\000\024\000\000\000\034\000\000\000\034'; bytes "$2"; } >"$1"
}
labels() { # FILE COUNT
    { printf '\000\000\010\001\000\000\000\024'; bytes "$2"; } >"$1"
}
idx() { # a folder with good files
    rm -rf "$dir/idx"
    mkdir -p "$dir/idx"
    for part in train t10k; do
        images "$dir/idx/$part-images-idx3-ubyte" 15680
        labels "$dir/idx/$part-labels-idx1-ubyte" 20
    done
}
bad_idx() { # PATTERN TEXT
    refused "$1" "$2" --data=mnist --data-dir="$dir/idx" --model=softmax --batch=30 --steps=1
}

idx
images "$dir/idx/train-images-idx3-ubyte" 15000
bad_idx 'train-images-idx3-ubyte' "a truncated IDX file"
idx
: >"$dir/idx/train-images-idx3-ubyte"
bad_idx 'train-images-idx3-ubyte' "an empty IDX file"
idx
mv "$dir/idx/train-images-idx3-ubyte" "$dir/idx/x"
mv "$dir/idx/train-labels-idx1-ubyte" "$dir/idx/train-images-idx3-ubyte"
mv "$dir/idx/x" "$dir/idx/train-labels-idx1-ubyte"
bad_idx 'train-images-idx3-ubyte' "swapped IDX files"
idx
printf '\000\000\010\003\177\377\377\377\177\377\377\377\177\377\377\377' >"$dir/idx/train-images-idx3-ubyte"
bad_idx 'train-images-idx3-ubyte' "an IDX file whose sizes overflow"
idx
images "$dir/idx/train-images-idx3-ubyte" 15681
bad_idx 'train-images-idx3-ubyte' "an IDX file with a byte too many"
idx
printf '\000\000\010\001\000\000\000\024\377' >"$dir/idx/train-labels-idx1-ubyte"
bytes 19 >>"$dir/idx/train-labels-idx1-ubyte"
bad_idx 'train-labels-idx1-ubyte' "a label out of range"
idx
gzip "$dir/idx/train-images-idx3-ubyte"
head -c 20 "$dir/idx/train-images-idx3-ubyte.gz" >"$dir/idx/cut" && mv "$dir/idx/cut" "$dir/idx/train-images-idx3-ubyte.gz"
bad_idx 'train-images-idx3-ubyte.gz' "a truncated gzip file"
if [ "$(id -u)" -ne 0 ]; then
    idx
    chmod 000 "$dir/idx/train-images-idx3-ubyte"
    bad_idx 'ermission' "a file that may not be read"
else
    idx
    rm "$dir/idx/train-images-idx3-ubyte"
    mkdir "$dir/idx/train-images-idx3-ubyte"
    bad_idx 'train-images-idx3-ubyte' "a folder in the place of a file"
fi

# shellcheck disable=SC2086
"$train" --help | grep -q -- '--adversaries=S' && "$train" --version | grep -q '^draco-train [0-9]'
result $? "--help and --version"

# shellcheck disable=SC2086
"$train" $small --attack=reverse --steps=12 --metrics="$dir/a" --params="$dir/pa" --plot="$dir/a.svg" --progress=plain >"$dir/out" 2>&1
result $? "a run ends with exit code 0"
[ "$(head -n 1 "$dir/out")" = "simulation: in each step 2 liars (--attack=reverse) and 0 workers without a reply" ]
result $? "a simulated attack is said in the first line"
grep -q 'lies 24, caught 24, honest workers blamed 0' "$dir/out"
result $? "every liar of every step is named, and nobody else"
[ "$(grep -c '"event":"step"' "$dir/a")" -eq 12 ] && grep -q '"event":"end"' "$dir/a"
result $? "metrics have a line for every step"
[ -s "$dir/a.svg" ] && grep -q '<svg' "$dir/a.svg"
result $? "a plot is drawn"

# shellcheck disable=SC2086
"$train" $small --steps=12 --params="$dir/pb" --progress=none >"$dir/digest" && cmp -s "$dir/pa" "$dir/pb"
result $? "the model is the same bytes without liars"
[ "$(wc -l <"$dir/digest")" -eq 1 ] && [ "$(cat "$dir/digest")" = "$(tail -n 1 "$dir/out")" ]
result $? "--progress=none prints the last line, the model's digest, alone"
for columns in 80 100; do
    script -qec "stty cols $columns; $train --help" /dev/null </dev/null >"$dir/help" 2>/dev/null
    [ "$(tr -d '\r' <"$dir/help" | awk '{ print length }' | sort -n | tail -n 1)" -le $columns ] && [ "$(wc -l <"$dir/help")" -gt 60 ]
    result $? "--help fits $columns columns"
done
"$train" --help >"$dir/help"
grep -q 'default 3$' "$dir/help" && ! grep -q '\[[^O=:]' "$dir/help"
result $? "--help says defaults in words"
# shellcheck disable=SC2086
"$train" $small --steps=5 --attack=gaussian --who=worst --liars=3 --retries=3 --progress=none >/dev/null 2>"$dir/err"
[ "$(grep -c '^draco-train: step 1, try [1-4]: ' "$dir/err")" -eq 4 ]
result $? "--retries=3 repeats a step three times"
"$train" --data=digits --train-samples=600 --test-samples=100 --model=softmax --workers=7 --steps=1 --progress=plain >"$dir/out"
grep -q 'every worker computes the whole batch; 10 workers' "$dir/out"
result $? "a code of one part is said to share no work"

# shellcheck disable=SC2086
"$train" $small --steps=5 --optimizer=adam --checkpoint="$dir/c" --progress=none >"$dir/out" &&
    "$train" $small --steps=12 --optimizer=adam --checkpoint="$dir/c" --resume --params="$dir/pc" --progress=none >>"$dir/out" &&
    "$train" $small --steps=12 --optimizer=adam --params="$dir/pd" --progress=none >>"$dir/out" && cmp -s "$dir/pc" "$dir/pd"
result $? "a resumed run makes the same bytes as one that was not stopped"

{ printf '1 300\nnowhere '; head -c 1200 /dev/zero; } >"$dir/vectors"
# shellcheck disable=SC2086
"$train" $words --word2vec="$dir/vectors" --progress=plain >"$dir/out" 2>&1 && grep -q '0 of [0-9]* words have vectors in' "$dir/out"
result $? "word vectors are read from a file"

# shellcheck disable=SC2086
"$train" $small --steps=5 --attack=gaussian --who=worst --liars=3 --policy=stop --metrics="$dir/b" --progress=plain \
    >"$dir/out" 2>"$dir/err"
[ $? -eq 3 ] && grep -q 'group [0-9]*: .* workers' "$dir/err" && grep -q '^model so far ' "$dir/out"
result $? "a round that cannot be decoded ends the run with exit code 3 and names the group"

grep -q '^3 liars are more than the s = 2 that the code tolerates' "$dir/out"
result $? "more liars than the code tolerates: a line at the start"

# shellcheck disable=SC2086
"$train" $small --steps=1000000 --checkpoint="$dir/stopped" --progress=none >"$dir/out" 2>"$dir/err" &
child=$!
sleep 2
kill -INT $child
wait $child
[ $? -eq 130 ] && [ -s "$dir/stopped" ] && grep -q 'stopped after the round' "$dir/err"
result $? "an interrupt ends the run after the round, with a checkpoint"

# The proof of the README, with a small model; the same script with a mean in Draco's place must fail.
proof="sh $(dirname "$0")/../examples/draco-train/proof.sh ${BUILD:-build} $small"
$proof >"$dir/out" 2>&1 && [ "$(sed -n '2,4s/.* //p' "$dir/out" | sort -u | grep -c '^[0-9a-f]\{32\}$')" -eq 1 ] &&
    [ "$(sed -n '5,10s/.* //p' "$dir/out" | sort -u | wc -l)" -ge 5 ]
result $? "proof.sh: one model without liars, with reverse gradients and with min-max; other rules: others"
! $proof --rule=mean >"$dir/out" 2>&1 && grep -q 'three times: no' "$dir/out"
result $? "proof.sh fails with a mean"

# What an operator sees of the workers.
# shellcheck disable=SC2086
"$train" $small --steps=12 --attack=reverse --who=fixed --progress=plain >"$dir/out" 2>&1
[ "$(grep -c '^step 1: blamed: worker [0-9]*, worker [0-9]*$' "$dir/out")" -eq 1 ] &&
    [ "$(grep -c '^step [0-9]*: ' "$dir/out")" -eq 1 ] &&
    [ "$(grep -c '^    blamed from step 1 to step 12$' "$dir/out")" -eq 2 ] &&
    grep -q '^step 12/12 .* caught 24 of 24 ' "$dir/out"
result $? "liars that stay are named once, and in the totals; the screen counts what the summary counts"
# shellcheck disable=SC2086
for code in "" --stragglers=1 --code=cyclic "--code=cyclic --field=prime" --rule=krum; do
    # shellcheck disable=SC2086
    "$train" $small $code --steps=12 --metrics="$dir/none" --progress=plain >"$dir/out" 2>&1 &&
        ! grep -q 'simulation\|blamed\|caught\|lies\|absent\|something to say' "$dir/out" && ! grep -q 'blamed":\[[0-9]\|absent":\[[0-9]\|liars":\[' "$dir/none"
    result $? "nobody lies and nobody is missing unless it is asked for${code:+: $code}"
done
# shellcheck disable=SC2086
"$train" $small --stragglers=1 --missing=1 --steps=2 --progress=plain >"$dir/out" 2>&1
[ "$(head -n 1 "$dir/out")" = "simulation: in each step no liars and 1 worker without a reply" ]
result $? "missing workers are said in the first line"
# shellcheck disable=SC2086
"$train" $small --steps=3 --adversaries=0 --stragglers=1 --workers=2 --attack=omission --liars=1 --who=fixed --progress=plain \
    >"$dir/out" 2>&1
grep -q '^step 1: no reply in time: worker [01]$' "$dir/out" && grep -q '^    absent since step 1$' "$dir/out"
result $? "a worker that stays away is named with the step since when"
# shellcheck disable=SC2086
"$train" $small --workers=200 --adversaries=38 --batch=200 --attack=reverse --who=fixed --steps=2 --progress=plain >"$dir/out" 2>&1
grep -q '^step 1: .* and 30 more$' "$dir/out" && [ "$(awk '{ print length }' "$dir/out" | sort -n | tail -n 1)" -lt 250 ]
result $? "with 200 workers a line names the first and counts the others"

for model in fc softmax logistic svm linear kmeans lenet resnet18:pictures textcnn:sentences; do
    data=${model#*:}
    [ "$data" = "$model" ] && data=digits
    "$train" --model="${model%:*}" --data=$data --train-samples=60 --test-samples=20 --workers=3 --adversaries=1 --batch=2 --steps=1 \
        --threads=1 --progress=none >"$dir/out" 2>"$dir/err" && grep -q '^model [0-9a-f]\{32\}$' "$dir/out"
    result $? "--model=${model%:*} trains on $data"
done

for list in --rule=list --attack=list --isa=list; do
    "$train" $list | grep -q . || result 1 "$list"
done
result 0 "lists of rules, attacks and instruction sets"

echo "1..$number"
