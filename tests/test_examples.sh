#!/bin/sh
# The examples that train a model of one's own: short, clean under all warnings, and right although a worker lies.
BUILD=${BUILD:-build}
dir=$(mktemp -d)
pids=""
trap 'kill $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 5 "$dir"/*.log 2>/dev/null; }
warnings="-std=gnu11 -I. -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror -fopenmp -fsyntax-only"

# A program counts with the model that it shares.
short() { # FILE LINES
    [ "$(cat examples/own_model.h "examples/$1" | grep -vc '^ *$')" -lt "$2" ]
    result $? "$1 and its model take under $2 lines"
    # shellcheck disable=SC2086
    ${CC:-cc} $warnings "examples/$1" 2>"$dir/cc.log"
    result $? "$1 compiles without a warning"
}

short 06_train_openmp.c 80
"$BUILD/06_train_openmp" >"$dir/openmp.log" 2>&1 && grep -q 'blamed in 100 of 100 steps' "$dir/openmp.log"
result $? "your own model over OpenMP: learnt, and a worker blamed in every step"

if [ ! -x "$BUILD/07_train_grpc" ]; then
    echo "ok $((number + 1)) - your own model over gRPC # SKIP built without gRPC"
    echo "1..$((number + 1))"
    exit 0
fi
short 07_train_grpc.c 120
address=unix:$dir/socket
"$BUILD/07_train_grpc" server "$address" >"$dir/grpc.log" 2>&1 &
server=$!
pids=$server
for i in 0 1 2 3 4 5 6 7 8; do
    "$BUILD/07_train_grpc" worker "$address" $i >"$dir/worker-$i.log" 2>&1 &
    pids="$pids $!"
done
wait $server && grep -q 'blamed in 100 of 100 steps' "$dir/grpc.log"
result $? "the same model over gRPC: learnt, and a worker blamed in every step"
cmp -s "$dir/openmp.log" "$dir/grpc.log"
result $? "both print the same weights"
code=0
for pid in ${pids#* }; do wait "$pid" || code=1; done
result $code "the workers leave in peace"
echo "1..$number"
