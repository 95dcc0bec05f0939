#!/bin/sh
# The log: on each line the time, a level, the process and the step; as JSON if wanted; workers say which they are.
train=${BUILD:-build}/draco-train
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 8 "$dir"/*; }
small="--model=softmax --data=digits --train-samples=600 --test-samples=100 --batch=30 --threads=1 --progress=none"
stamp='^20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]\{3\}Z'

# shellcheck disable=SC2086
"$train" $small --steps=20 --attack=reverse --who=fixed --log="$dir/log" >"$dir/out" 2>"$dir/err" && [ ! -s "$dir/err" ] &&
    [ -s "$dir/log" ] && ! grep -qv "$stamp \(info\|warning\|error\) server step [0-9]*: ." "$dir/log"
result $? "text: every line has a time, a level, who and the step"
grep -q 'Z warning server step 1: step 1: blamed: worker ' "$dir/log" && grep -q 'Z info server step 20: loss ' "$dir/log" &&
    grep -q "$(cat "$dir/out")" "$dir/log"
result $? "blame is a warning, a test and the model's digest are information"

# shellcheck disable=SC2086
"$train" $small --steps=5 --attack=gaussian --who=worst --liars=3 --policy=stop --log="$dir/json" --log-format=json >"$dir/out" 2>"$dir/err"
python3 - "$dir/json" <<'END'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ok = lines and all(sorted(l) == ["level", "step", "text", "time", "who"] and l["who"] == "server" for l in lines)
sys.exit(not (ok and any(l["level"] == "error" and l["step"] == 1 and "training failed" in l["text"] for l in lines)))
END
result $? "JSON: every line is an object; a failed run ends in an error"
grep -q '^draco-train: training failed' "$dir/err"
result $? "stderr keeps its plain lines"
# shellcheck disable=SC2086
"$train" $small --steps=5 --attack=gaussian --who=worst --liars=3 --policy=stop --log=- >"$dir/out" 2>"$dir/err"
grep -q "$stamp error server step 1: training failed" "$dir/err" && ! grep -q '^draco-train:' "$dir/err"
result $? "--log=-: on stderr in the place of the plain lines"
# shellcheck disable=SC2086
"$train" $small --log="$dir/nowhere/log" >"$dir/out" 2>"$dir/err"
[ $? -eq 2 ] && grep -q nowhere "$dir/err" && [ "$(wc -l <"$dir/err")" -eq 1 ]
result $? "a log that cannot be opened: status 2"

if "$train" --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    result 0 "a worker's lines # SKIP built without gRPC"
else
    common="$small --steps=3 --workers=3 --adversaries=1 --transport=grpc --address=unix:$dir/socket"
    # shellcheck disable=SC2086
    timeout 60 "$train" $common --join-seconds=20 --no-probe --wait=all --log="$dir/all" >"$dir/out" 2>"$dir/err" &
    for fault in none none memory; do
        number_of=$((${number_of:--1} + 1))
        # shellcheck disable=SC2086
        PEER_FAULT=$fault timeout 60 "${BUILD:-build}/tests/peer_train" $common --role=worker --worker=$number_of --log="$dir/all" \
            >"$dir/worker" 2>&1 &
    done
    wait
    grep -q "$stamp error worker 2 step 3: worker 2: no reply in step 3: out of memory" "$dir/all" &&
        grep -q "$stamp info worker 0 step 0: joined " "$dir/all" && grep -q "$stamp info server step 0: worker 2 joined" "$dir/all" &&
        ! grep -qv "$stamp \(info\|warning\|error\) \(server\|worker [0-2]\) step [0-9]*: ." "$dir/all"
    result $? "workers say which they are, and share a file with the server"
fi
echo "1..$number"
