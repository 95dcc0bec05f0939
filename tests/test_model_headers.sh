#!/bin/sh
# Every header of models/ compiles alone and twice, with no switch, with its implementation, and as a static copy that
# exports no function, with gcc and clang and every warning an error.
. "$(dirname "$0")/support/headers.sh"
build=${BUILD:-build}
mkdir -p "$build/model_headers"
tmp=$(cd "$build/model_headers" && pwd)
extra="-O0 -fopenmp"

switch_of() { # draco_text.h -> DRACO_DATA: the data headers share one switch
    case $1 in
        draco_dataset.h | draco_text.h | draco_generate.h) echo DRACO_DATA ;;
        *) echo "${1%.h}" | tr 'a-z' 'A-Z' ;;
    esac
}

for path in "$root"/models/*.h; do
    file=$(basename "$path")
    p=$(switch_of "$file")
    bad=0
    for compiler in gcc clang; do
        command -v $compiler >/dev/null || continue
        compiles $compiler "models/$file" || bad=1
        compiles $compiler "models/$file" "${p}_IMPLEMENTATION" || bad=1
        { compiles $compiler "models/$file" "${p}_IMPLEMENTATION" "${p}_STATIC" && exports_nothing; } || bad=1
    done
    result $bad "$file"
done
echo "1..$number"
