#!/bin/sh
# The headers of the gRPC transport compile alone and twice, bare, with their implementation and as a static copy that
# exports nothing, with gcc and clang and every warning an error; the program in the opening comment runs.
. "$(dirname "$0")/support/headers.sh"
build=${BUILD:-build}
mkdir -p "$build/grpc_headers"
tmp=$(cd "$build/grpc_headers" && pwd)
if [ ! -e /usr/include/grpc/grpc.h ]; then
    echo "ok 1 - the gRPC headers # SKIP gRPC is not installed"
    exit 0
fi
for compiler in gcc clang; do
    command -v $compiler >/dev/null 2>&1 || continue
    for path in "$root"/transports/draco_grpc*.h; do
        header=transports/$(basename "$path")
        compiles $compiler "$header" && compiles $compiler "$header" DRACO_GRPC_IMPLEMENTATION &&
            compiles $compiler "$header" DRACO_GRPC_IMPLEMENTATION DRACO_GRPC_STATIC && exports_nothing
        result $? "$compiler: $(basename "$path") alone, twice, static"
    done
done
explain() { head -n 20 "$tmp/errors"; }
awk '/^ \* program:/ { on = 1; next } /^ \* end of program/ { on = 0 } on { sub(/^ \*(     )?/, ""); print }' \
    "$root/transports/draco_grpc.h" >"$tmp/program.c"
[ -s "$tmp/program.c" ] && gcc -std=gnu11 $warn -I"$root" "$tmp/program.c" -o "$tmp/program" -lgrpc -lgpr -lpthread -lm \
    >"$tmp/errors" 2>&1 && timeout 20 "$tmp/program" >>"$tmp/errors" 2>&1
result $? "the program in the opening comment runs"
echo "1..$number"
