#!/bin/sh
# A model that diverges ends every run alike, whatever the code makes of it: the parameters are no longer finite since
# which step, on the screen, in the metrics and as exit status 5; the retries are left, and no worker is named.
train=${BUILD:-build}/draco-train
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 8 "$dir/out" "$dir/err"; }
small="--model=linear --data=digits --train-samples=600 --test-samples=100 --batch=30 --threads=1 --lr=1e5 --steps=60"

words="the parameters are no longer finite since step 4"
for code in --vote=messages --vote=challenge --tolerance=1e-6 --code=cyclic "--code=cyclic --field=complex" --rule=mean --rule=krum \
    "--policy=skip --code=cyclic" "--attack=reverse --code=cyclic"; do
    # shellcheck disable=SC2086
    timeout 60 "$train" $small $code --metrics="$dir/m" --checkpoint="$dir/c" --progress=plain >"$dir/out" 2>"$dir/err"
    [ $? -eq 5 ] && [ "$(cat "$dir/err")" = "draco-train: training failed: $words" ] && [ ! -e "$dir/c" ] &&
        grep -q "\"event\":\"end\",\"status\":\"a value that cannot be represented[^\"]*\",\"reason\":\"$words\"" "$dir/m" &&
        { case $code in *attack*) true ;; *) ! grep -q 'blamed\|something to say' "$dir/out" ;; esac; }
    result $? "$code: one line, exit status 5, and no checkpoint of numbers that are none"
done

# Too many liars are another reason.
# shellcheck disable=SC2086
timeout 60 "$train" ${small% --lr*} --lr=1e-3 --steps=5 --attack=gaussian --who=worst --liars=3 --policy=stop --progress=none >"$dir/out" 2>"$dir/err"
[ $? -eq 3 ] && ! grep -q 'no longer finite' "$dir/err"
result $? "more liars than the code tolerates: status 3, and not called diverged"

# A worker without memory says so, and which worker it is.
if "$train" --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    result 0 "a worker without memory # SKIP built without gRPC"
else
    common="${small% --lr*} --lr=1e-3 --steps=3 --workers=3 --adversaries=1 --transport=grpc --address=unix:$dir/socket --progress=none"
    # shellcheck disable=SC2086
    timeout 60 "$train" $common --wait=all --no-probe >"$dir/out" 2>"$dir/server" &
    server=$!
    for i in 0 1; do
        # shellcheck disable=SC2086
        timeout 60 "$train" $common --role=worker --worker=$i >"$dir/worker-$i" 2>&1 &
    done
    # shellcheck disable=SC2086
    PEER_FAULT=memory timeout 60 "${BUILD:-build}/tests/peer_train" $common --role=worker --worker=2 >"$dir/err" 2>&1
    wait $server
    result $? "a run goes on without a worker that has no memory"
    grep -q '^draco-train: worker 2: no reply in step 1: out of memory$' "$dir/err"
    result $? "the worker says so"
fi
echo "1..$number"
