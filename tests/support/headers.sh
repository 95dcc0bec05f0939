# Sourced by the tests of a folder's headers: does a header compile, and does it keep its names to itself?
# The test sets tmp, a folder for the compiler's output, and may set extra, options of the compiler.
. "$(dirname "$0")/support/tap.sh"
root=$(cd "$(dirname "$0")/.." && pwd)
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
extra=

# COMPILER HEADER DEFINITION...: the header, named from the root and included twice, compiles to $tmp/unit.o.
compiles() {
    compiler=$1
    header=$2
    shift 2
    for name in "$@"; do echo "#define $name"; done >"$tmp/unit.c"
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" >>"$tmp/unit.c"
    # shellcheck disable=SC2086
    $compiler -std=gnu11 $warn $extra -I"$root" -c "$tmp/unit.c" -o "$tmp/unit.o" >"$tmp/errors" 2>&1 && return 0
    echo "# $compiler, $header, $*"
    sed 's/^/# /' "$tmp/errors" | head -n 20
    return 1
}

exports_nothing() { # $tmp/unit.o; a weak object, merged with those of other files, is none
    exported=$(nm -g --defined-only "$tmp/unit.o" | grep -v " V ")
    [ -z "$exported" ] && return 0
    echo "$exported" | sed 's/^/# exported: /'
    return 1
}
