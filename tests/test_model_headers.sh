#!/bin/sh
# Every header of models/ compiles alone and twice, with no switch, with its implementation, and as a static copy that
# exports no function, with gcc and clang and every warning an error.
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build/model_headers"
tmp=$(cd "$build/model_headers" && pwd)
flags="-std=gnu11 -O0 -fopenmp -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
count=0

switch_of() { # draco_text.h -> DRACO_DATA: the data headers share one switch
    case $1 in
        draco_dataset.h | draco_text.h | draco_generate.h) echo DRACO_DATA ;;
        *) echo "${1%.h}" | tr 'a-z' 'A-Z' ;;
    esac
}
try() { # compiler header definition...
    compiler=$1
    header=$2
    shift 2
    for name in "$@"; do echo "#define $name"; done >"$tmp/unit.c"
    printf '#include "models/%s"\n#include "models/%s"\n' "$header" "$header" >>"$tmp/unit.c"
    # shellcheck disable=SC2086
    "$compiler" $flags -I"$root" -c "$tmp/unit.c" -o "$tmp/unit.o" >"$tmp/errors" 2>&1 && return
    echo "# $compiler, $header, $*"
    sed 's/^/# /' "$tmp/errors" | head -n 20
    return 1
}
exports_nothing() {
    if nm "$tmp/unit.o" | grep ' [TDBR] '; then return 1; fi
}

for path in "$root"/models/*.h; do
    header=$(basename "$path")
    p=$(switch_of "$header")
    good=1
    for compiler in gcc clang; do
        command -v $compiler >/dev/null || continue
        try $compiler "$header" || good=0
        try $compiler "$header" "${p}_IMPLEMENTATION" || good=0
        { try $compiler "$header" "${p}_IMPLEMENTATION" "${p}_STATIC" && exports_nothing; } || good=0
    done
    count=$((count + 1))
    if [ $good = 1 ]; then echo "ok $count - $header"; else echo "not ok $count - $header"; fi
done
echo "1..$count"
