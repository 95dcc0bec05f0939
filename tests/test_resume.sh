#!/bin/sh
# A run that is started again by the same command is the same run: after kill -9 at any moment, a signal, a damaged
# checkpoint, a full disk. What it ends in has the bytes of the run that was not disturbed. DRACO_STRESS=full: 150 kills, for
# both models every optimizer, schedule and code.
train=${BUILD:-build}/draco-train
dir=$(mktemp -d)
pids=""
trap 'kill -9 $pids $(cat "$dir"/*.pid 2>/dev/null) 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 5 "$dir/out" "$dir/err"; }
full=${DRACO_STRESS:-}
[ "$full" = full ] || full=""
export OMP_NUM_THREADS=1

small="--data=digits --train-samples=600 --test-samples=100 --batch=30 --threads=1 --progress=plain"
softmax="$small --model=softmax"
c="--checkpoint=$dir/c"

fresh() { rm -f "$dir"/c* "$dir"/m "$dir"/p; }
run() { # CODE TEXT OPTION...: softmax, in this way, ends with this exit code
    code=$1
    text=$2
    shift 2
    # shellcheck disable=SC2086
    timeout 60 "$train" $softmax "$@" >"$dir/out" 2>"$dir/err"
    [ $? -eq "$code" ]
    result $? "$text"
}
said() { # PATTERN TEXT
    grep -q -- "$1" "$dir/err" "$dir/out"
    result $? "$2"
}
# Does a file of metrics have a line for each of the steps 0 ... N - 1, in order, and whole lines only?
steps_are() { # FILE N
    sed -n 's/^{"event":"step","step":\([0-9]*\),.*}$/\1/p' "$1" | awk -v n="$2" '$1 != NR - 1 { exit 1 } END { exit NR != n }' &&
        ! grep -qv '^{"event":"[a-z]*".*}$' "$1" && [ "$(grep -c '"event":"start"' "$1")" -eq 1 ] && [ "$(grep -c '"event":"end"' "$1")" -eq 1 ] &&
        [ "$(grep -c '"event":"test"' "$1")" -eq "$(grep '"event":"test"' "$1" | cut -d, -f2 | sort -u | wc -l)" ]
}

# ---- The contract ----

run 2 "--resume=must without a checkpoint: refused" $c --resume=must --steps=4
said 'there is no checkpoint' "and says so"
run 0 "--resume without a checkpoint starts afresh" $c --resume --steps=4 --metrics="$dir/m" --params="$dir/p"
cp "$dir/p" "$dir/first"
rm "$dir/p"
run 0 "the same command again does nothing twice" $c --resume --steps=4 --metrics="$dir/m" --params="$dir/p"
cmp -s "$dir/p" "$dir/first" && steps_are "$dir/m" 4
result $? "and ends in the same bytes, with each step once in the metrics"
run 2 "without --resume a checkpoint that is there is kept" $c --steps=4
said 'there is a checkpoint already' "and said so"
run 2 "fewer steps than are done" $c --resume --steps=3
said '4 steps are done, and --steps=3 is the total' "are refused, with the numbers"

# What decides: option, value, what is said. Each is refused, named, and let pass by its name alone.
while read -r key value; do
    # shellcheck disable=SC2086
    "$train" $softmax $c --resume --steps=4 --"$key"="$value" >"$dir/out" 2>"$dir/err"
    [ $? -eq 2 ] && [ "$(wc -l <"$dir/err")" -eq 1 ] && grep -q "[:;] $key is '[^']*', but '$value' in this run" "$dir/err"
    result $? "--$key=$value: refused, and named"
done <<'END'
batch 60
lr 0.1
momentum 0.8
weight-decay 0.01
clip 1
schedule cosine
warmup 3
seed 2
l2 0.5
held-out 0.25
optimizer nesterov
attack constant
stragglers 1
code cyclic
policy skip
END
run 2 "another number of samples" $c --resume --steps=4 --train-samples=500
said "data-digest is '[0-9a-f]*'" "is another digest of the data"
run 2 "two differences" $c --resume --steps=4 --lr=0.1 --clip=1
said "lr is '0.05', but '0.1' in this run; clip is '0', but '1' in this run" "are both named"
run 2 "one of them overridden" $c --resume --steps=4 --lr=0.1 --clip=1 --override=lr
said "c: clip is '0'" "leaves the other"
run 2 "a name that decides nothing" $c --resume --steps=4 --override=metrics
said "nothing that decides a run is called 'metrics'" "is refused"
run 0 "both overridden: it goes on" $c --resume --steps=6 --lr=0.1 --clip=1 --override=lr,clip
said 'goes on from .*/c: 4 of 6 steps are done' "and says from where"
run 0 "the new values are those of the run" $c --resume=must --steps=6 --lr=0.1 --clip=1
run 0 "threads, tests and the like may change" $c --resume --steps=6 --lr=0.1 --clip=1 --threads=2 --eval-every=1 --share-parts
fresh
run 0 "a run with a schedule of its length" $c --resume --steps=4 --schedule=cosine
run 2 "cannot be made longer" $c --resume --steps=8 --schedule=cosine
said "steps is '4', but '8' in this run" "since its length decides"

# ---- Half of it is damaged ----

fresh
run 0 "a run of 12 steps" $c --resume --steps=12 --checkpoint-every=5 --checkpoint-keep=3 --metrics="$dir/m" --params="$dir/p"
mv "$dir/p" "$dir/first"
printf 'x' | dd of="$dir/c" bs=1 seek=9000 conv=notrunc 2>/dev/null
head -c 100 "$dir/m" >"$dir/half"
cat "$dir/half" >>"$dir/m"
run 0 "with a damaged checkpoint" $c --resume --steps=12 --checkpoint-every=5 --checkpoint-keep=3 --metrics="$dir/m" --params="$dir/p"
said 'goes on from .*: 10 of 12 steps are done' "it goes on from the one before"
said 'c: wrong checksum' "says why"
cmp -s "$dir/p" "$dir/first" && steps_are "$dir/m" 12
result $? "and ends in the same bytes, with whole metrics"
head -c 1000 "$dir/c" >"$dir/c.x" && mv "$dir/c.x" "$dir/c" && rm -f "$dir"/c.older-*
run 2 "no whole checkpoint at all: not started afresh" $c --resume --steps=12
said 'no whole checkpoint' "but said so"
echo "my own words" >"$dir/words"
fresh
run 2 "metrics of something else" $c --resume --steps=4 --metrics="$dir/words"
said 'words: not the metrics of a run' "are left alone"

# ---- Outputs ----

run 2 "a folder that is not there" --steps=4 --metrics="$dir/nowhere/m"
run 2 "a device" --steps=4 --checkpoint=/dev/null
said '/dev/null: not a regular file' "is no place for a checkpoint"
if [ -e /dev/full ]; then
    run 1 "a full disk under the metrics: exit code 1" --steps=4 --metrics=/dev/full
    said '/dev/full: No space left' "in words"
    said '^model ' "after the whole run"
fi
# shellcheck disable=SC2016,SC2086
sh -c 'ulimit -f 60; exec "$@"' sh "$train" $softmax --steps=6 $c --checkpoint-every=2 >"$dir/out" 2>"$dir/err"
[ $? -eq 1 ] && grep -q '^checkpoints written 0, failed 4$' "$dir/out" && [ "$(grep -c 'no checkpoint after step' "$dir/err")" -eq 4 ] &&
    grep -q '^model [0-9a-f]' "$dir/out" && [ ! -e "$dir/c" ]
result $? "checkpoints that cannot be written are said and counted, and training goes on"
fresh

long="$softmax --steps=100000000 --eval-every=0 $c --resume"
wait_for() { # FILE: 0 when it is there within 20 seconds
    i=0
    while [ ! -s "$1" ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i + 1)); done
    [ -s "$1" ]
}
for signal in TERM INT HUP; do
    # shellcheck disable=SC2086
    "$train" $long --metrics="$dir/m" >"$dir/out" 2>"$dir/err" &
    child=$!
    pids="$pids $child"
    wait_for "$dir/m" && kill -USR1 $child && wait_for "$dir/c"
    result $? "SIGUSR1: a checkpoint"
    # shellcheck disable=SC2086
    "$train" $long >"$dir/other" 2>&1
    [ $? -eq 2 ] && grep -q "another run, process $child, is using it" "$dir/other"
    result $? "a second run of one checkpoint is refused, and the first named"
    kill -$signal $child
    wait $child
    code=$?
    "$train" $softmax --steps=1 $c --resume 2>&1 | grep -q "steps are done, and --steps=1 is the total" && [ $code -eq 130 ]
    result $? "SIG$signal: a checkpoint, and the end ($code)"
    fresh
done
# shellcheck disable=SC2086
"$train" $long --checkpoint-seconds=0.2 >"$dir/out" 2>"$dir/err" &
child=$!
pids="$pids $child"
wait_for "$dir/c.older-1"
result $? "checkpoints by seconds"
kill -9 $child
wait $child 2>/dev/null
fresh

# ---- kill -9 ----

random=1
draw() { # LIMIT: a number from 0 to LIMIT - 1, in $drawn
    random=$(((random * 1103515245 + 12345) % 2147483648))
    drawn=$((random / 65536 % $1))
}
killed=0
torn=0
# Kill it at random moments until it has been killed KILLS times, let it end, and compare.
survives() { # KILLS OPTION...
    kills=$1
    shift
    text=$*
    fresh
    # shellcheck disable=SC2086
    "$train" $small "$@" --params="$dir/p" >"$dir/out" 2>"$dir/err"
    mv "$dir/p" "$dir/first"
    began=$(date +%s%N)
    # shellcheck disable=SC2086
    "$train" $small "$@" $c --resume --checkpoint-every=1 --metrics="$dir/m" --params="$dir/p" >"$dir/out" 2>"$dir/err"
    took=$((($(date +%s%N) - began) / 1000000 / kills)) # so that the last kill still finds it at work
    cmp -s "$dir/p" "$dir/first" || text="$text (not killed)"
    fresh
    while [ "$kills" -gt 0 ]; do
        # shellcheck disable=SC2086
        "$train" $small "$@" $c --resume --checkpoint-every=1 --metrics="$dir/m" --params="$dir/p" >"$dir/out" 2>"$dir/err" &
        child=$!
        pids="$pids $child"
        draw "$took"
        sleep "$(awk -v ms="$drawn" 'BEGIN { print ms / 1000 }')"
        kill -9 $child 2>/dev/null && killed=$((killed + 1))
        wait $child 2>/dev/null
        ls "$dir"/c.part-* >/dev/null 2>&1 && torn=$((torn + 1))
        kills=$((kills - 1))
    done
    # shellcheck disable=SC2086
    "$train" $small "$@" $c --resume --checkpoint-every=1 --metrics="$dir/m" --params="$dir/p" >"$dir/out" 2>"$dir/err"
    steps=$(echo "$*" | sed 's/.*--steps=\([0-9]*\).*/\1/')
    cmp -s "$dir/p" "$dir/first" && steps_are "$dir/m" "$steps" && ! ls "$dir"/c.part-* "$dir"/c.lock >/dev/null 2>&1
    result $? "killed and started again: $text"
}
# Over gRPC: the server and every worker have somebody who starts them again, and die at random.
supervise() { # NAME OPTION...: until it ends with status 0, or with 2, which no start mends
    name=$1
    shift
    (
        code=1
        while [ $code -ne 0 ] && [ $code -ne 2 ]; do
            # shellcheck disable=SC2086
            "$train" $softmax --workers=5 --adversaries=1 --transport=grpc --address="unix:$dir/socket" "$@" >>"$dir/$name.log" 2>&1 &
            echo $! >"$dir/$name.pid"
            wait $!
            code=$?
        done
        echo $code >"$dir/$name.code"
    ) 2>/dev/null &
    pids="$pids $!"
}
survives_grpc() { # KILLS VICTIMS OPTION...: VICTIMS of 0 (the server) to 5
    kills=$1
    victims=$2
    shift 2
    fresh
    rm -f "$dir"/*.code "$dir"/*.log
    # shellcheck disable=SC2086
    "$train" $softmax --workers=5 --adversaries=1 "$@" --params="$dir/p" >"$dir/out" 2>"$dir/err"
    mv "$dir/p" "$dir/first"
    supervise 0 --role=server --wait=all $c --resume --checkpoint-every=5 --metrics="$dir/m" --params="$dir/p" "$@"
    for i in 1 2 3 4 5; do supervise $i --role=worker --worker=$((i - 1)) "$@"; done
    while [ "$kills" -gt 0 ] && [ ! -e "$dir/0.code" ]; do
        draw 900
        sleep "$(awk -v ms="$drawn" 'BEGIN { print ms / 1000 }')"
        draw "$victims"
        kill -9 "$(cat "$dir/$drawn.pid")" 2>/dev/null && kills=$((kills - 1)) && killed=$((killed + 1))
    done
    i=0
    while [ ! -e "$dir/0.code" ] && [ $i -lt 900 ]; do sleep 0.1; i=$((i + 1)); done
    # shellcheck disable=SC2086
    kill $pids 2>/dev/null
    for i in 1 2 3 4 5; do kill -9 "$(cat "$dir/$i.pid")" 2>/dev/null; done
    steps=$(echo "$*" | sed 's/.*--steps=\([0-9]*\).*/\1/')
    cp "$dir/0.log" "$dir/out"
    [ "$(cat "$dir/0.code")" -eq 0 ] && cmp -s "$dir/p" "$dir/first" && steps_are "$dir/m" "$steps"
    result $? "killed over gRPC, $kills kills left over: $*"
}
# Under mpirun with two servers, whose checkpoints are of one step: any rank dies, and the job with it. When: a moment
# after a line of the metrics that no earlier job has written, early enough that work is left.
survives_mpi() { # KILLS OPTION...
    kills=$1
    shift
    # Until mpirun ends a job that lost a worker the others go on; the last bits of the complex field are of who replied.
    case "$*" in *complex*) all=--all-present ;; *) all= ;; esac
    fresh
    # shellcheck disable=SC2086
    "$train" $softmax --workers=5 --adversaries=1 "$@" --params="$dir/p" >"$dir/out" 2>"$dir/err"
    mv "$dir/p" "$dir/first"
    steps=$(echo "$*" | sed 's/.*--steps=\([0-9]*\).*/\1/')
    stretch=$((steps / (kills + 2)))
    from=0
    code=1
    tries=0
    while [ $code -ne 0 ] && [ $tries -lt 20 ]; do
        # shellcheck disable=SC2016,SC2086
        timeout -k 3 200 mpirun -n 7 sh -c 'echo $$ >"$0/rank$OMPI_COMM_WORLD_RANK.pid"; exec "$@"' "$dir" \
            "$train" $softmax --workers=5 --adversaries=1 --transport=mpi --servers=2 --wait=all $all $c --resume \
            --checkpoint-every=5 --metrics="$dir/m" --params="$dir/p" "$@" >"$dir/out" 2>"$dir/err" &
        job=$!
        pids="$pids $job"
        if [ "$kills" -gt 0 ]; then
            draw "$stretch"
            until grep -q "^{\"event\":\"step\",\"step\":$((from + drawn))," "$dir/m" 2>/dev/null || ! kill -0 $job 2>/dev/null; do
                sleep 0.01
            done
            from=$((from + stretch))
            draw 7
            kill -9 "$(cat "$dir/rank$drawn.pid")" 2>/dev/null && kills=$((kills - 1)) && killed=$((killed + 1))
        fi
        wait $job
        code=$?
        tries=$((tries + 1))
    done
    [ $code -eq 0 ] && cmp -s "$dir/p" "$dir/first" && steps_are "$dir/m" "$steps"
    result $? "killed under mpirun with two servers, $kills kills left over: $*"
}
reactive="--code=repetition --redundancy=reactive"
if [ -n "$full" ]; then
    for code in "--code=repetition" "--code=cyclic --field=prime" "--code=cyclic --field=complex" "$reactive"; do
        for optimizer in sgd momentum nesterov adam adamw; do
            for schedule in constant step cosine; do
                # shellcheck disable=SC2086
                survives 1 --model=softmax $code --attack=reverse --optimizer=$optimizer --schedule=$schedule --steps=60
                # shellcheck disable=SC2086
                survives 1 --model=fc $code --attack=reverse --optimizer=$optimizer --schedule=$schedule --warmup=3 --steps=12
            done
        done
    done
    each=4
    [ $killed -ge 50 ] && [ $torn -gt 0 ]
else
    survives 2 --model=softmax --code=repetition --optimizer=momentum --schedule=cosine --steps=24
    survives 2 --model=softmax --code=cyclic --field=prime --optimizer=adam --schedule=step --steps=24
    survives 2 --model=softmax --code=cyclic --field=complex --optimizer=nesterov --schedule=cosine --attack=reverse --steps=24
    survives 2 --model=fc --code=repetition --optimizer=adamw --schedule=cosine --warmup=3 --steps=8
    each=2
    [ $killed -ge 5 ]
fi
result $? "killed $killed times, $torn of them in a checkpoint"
if "$train" --transport=grpc --role=worker 2>&1 | grep -q 'built without'; then
    echo "ok $((number + 1)) - killed over gRPC # SKIP built without gRPC"
    number=$((number + 1))
else
    before=$killed
    survives_grpc $each 6 --code=repetition --optimizer=adam --schedule=cosine --steps=300
    survives_grpc $each 6 --code=cyclic --field=prime --optimizer=momentum --schedule=step --steps=300
    survives_grpc $each 6 --code=cyclic --field=complex --optimizer=nesterov --schedule=cosine --steps=300
    # shellcheck disable=SC2086
    survives_grpc 1 1 $reactive --check-every=7 --steps=800
    # shellcheck disable=SC2086
    [ -z "$full" ] || survives_grpc $each 6 $reactive --optimizer=adamw --schedule=step --steps=300
    [ $((killed - before)) -ge 5 ]
    result $? "killed $((killed - before)) times over gRPC"
fi
if "$train" --transport=mpi 2>&1 | grep -q 'built without' || ! command -v mpirun >/dev/null; then
    echo "ok $((number + 1)) - killed under mpirun # SKIP mpirun is not installed"
    number=$((number + 1))
else
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    before=$killed
    survives_mpi $each --code=repetition --optimizer=adam --schedule=cosine --steps=$((200 * each))
    # shellcheck disable=SC2086
    survives_mpi 1 $reactive --check-every=7 --steps=200
    if [ -n "$full" ]; then
        survives_mpi $each --code=cyclic --field=complex --optimizer=nesterov --schedule=cosine --steps=$((200 * each))
        survives_mpi $each --code=cyclic --field=prime --optimizer=momentum --schedule=step --steps=$((200 * each))
        # shellcheck disable=SC2086
        survives_mpi $each $reactive --optimizer=adamw --schedule=constant --steps=$((200 * each))
    fi
    [ $((killed - before)) -ge $each ]
    result $? "killed $((killed - before)) times under mpirun"
fi
[ $killed -ge 9 ]
result $? "killed $killed times in all"
echo "1..$number"
