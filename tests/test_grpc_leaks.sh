#!/bin/sh
# A whole run of the gRPC transport, server and workers, under ASan with LeakSanitizer and under valgrind: no error,
# nothing lost. The toy server and worker are the programs of the other tests.
BUILD=${BUILD:-build}
dir=$BUILD/leaks
mkdir -p "$dir"
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
. "$(dirname "$0")/support/tap.sh"

for name in test_grpc_faults peer_grpc; do
    # shellcheck disable=SC2086
    ${CC:-gcc} -I. -Itests -std=gnu11 -O1 -g $warn -fsanitize=address,undefined -fno-sanitize-recover=all \
        "tests/$name.c" -o "$dir/$name" -lcmocka -lgrpc -lgpr -lpthread -lm || { result 1 "builds with sanitizers"; exit 1; }
done

run() { # WHAT SERVER-COMMAND WORKER-COMMAND PORT
    $2 serve "127.0.0.1:$4" 0 6 >"$dir/server.log" 2>&1 &
    server=$!
    $3 "127.0.0.1:$4" 0 >"$dir/worker0.log" 2>&1 &
    zero=$!
    $3 "127.0.0.1:$4" 1 >"$dir/worker1.log" 2>&1 &
    one=$!
    wait $server
    result $? "a server's run under $1"
    wait $zero
    result $? "a worker's run under $1"
    wait $one
    result $? "the other worker's run under $1"
    grep -hE "ERROR|SUMMARY|definitely lost: [1-9]|Invalid (read|write)" "$dir"/*.log | sed 's/^/# /'
}

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
port=$((20000 + $$ % 12000))
run "ASan and LSan" "$dir/test_grpc_faults" "$dir/peer_grpc" "$port"

if command -v valgrind >/dev/null 2>&1; then
    check="valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
    run "valgrind" "$check $BUILD/tests/test_grpc_faults" "$check $BUILD/tests/peer_grpc" $((port + 1))
else
    n=$((n + 1))
    echo "ok $n - a run under valgrind # SKIP valgrind is not installed"
fi
echo "1..$n"
