#!/bin/sh
# What --metrics-port serves; see test_live.py.
build=${BUILD:-build}
for tool in python3 curl; do
    command -v $tool >/dev/null 2>&1 || {
        echo "ok 1 - the live page # SKIP $tool is not installed"
        echo "1..1"
        exit 0
    }
done
if "$build/draco-train" --metrics-port=9400 --metrics-address=nowhere --model=softmax --data=digits 2>&1 | grep -q 'without libmicrohttpd'; then
    echo "ok 1 - the live page # SKIP this build has no libmicrohttpd"
    echo "1..1"
    exit 0
fi
exec timeout 240 python3 -B "$(dirname "$0")/test_live.py" "$build"
