#!/bin/sh
# The headers of the gRPC transport compile alone and twice, bare, with their implementation and as a static copy that
# exports nothing, with gcc and clang and every warning an error; the program in the opening comment runs.
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build/grpc_headers"
tmp=$(cd "$build/grpc_headers" && pwd)
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
n=0
result() { # CODE TEXT
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' "$tmp/errors" | head -n 20; fi
}
if [ ! -e /usr/include/grpc/grpc.h ]; then
    echo "ok 1 - the gRPC headers # SKIP gRPC is not installed"
    exit 0
fi
try() { # COMPILER HEADER DEFINITION...
    compiler=$1
    header=$2
    shift 2
    for name in "$@"; do echo "#define $name"; done >"$tmp/unit.c"
    printf '#include "transports/%s"\n#include "transports/%s"\n' "$header" "$header" >>"$tmp/unit.c"
    $compiler -std=gnu11 $warn -I"$root" -c "$tmp/unit.c" -o "$tmp/unit.o" >"$tmp/errors" 2>&1
}
for compiler in gcc clang; do
    command -v $compiler >/dev/null 2>&1 || continue
    for path in "$root"/transports/draco_grpc*.h; do
        header=$(basename "$path")
        try $compiler "$header" && try $compiler "$header" DRACO_GRPC_IMPLEMENTATION &&
            try $compiler "$header" DRACO_GRPC_IMPLEMENTATION DRACO_GRPC_STATIC &&
            { nm -g --defined-only "$tmp/unit.o" >"$tmp/errors"; [ ! -s "$tmp/errors" ]; }
        result $? "$compiler: $header alone, twice, static"
    done
done
awk '/^ \* program:/ { on = 1; next } /^ \* end of program/ { on = 0 } on { sub(/^ \*(     )?/, ""); print }' \
    "$root/transports/draco_grpc.h" >"$tmp/program.c"
[ -s "$tmp/program.c" ] && gcc -std=gnu11 $warn -I"$root" "$tmp/program.c" -o "$tmp/program" -lgrpc -lgpr -lpthread -lm \
    >"$tmp/errors" 2>&1 && timeout 20 "$tmp/program" >>"$tmp/errors" 2>&1
result $? "the program in the opening comment runs"
echo "1..$n"
