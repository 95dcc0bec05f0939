#!/bin/sh
# The headers of models/, baselines/ and transports/: declarations are C11 and C++17, the implementation compiles by gcc and clang, a
# static copy exports no function, every warning is an error, an implementation says what it needs where that is
# missing, and the same includes work in every layout: in the tree, from another folder, installed. DRACO_STRESS=full compiles every
# header to the end, by both compilers and in all languages; otherwise most are only read, and one unit holds all static copies.
. "$(dirname "$0")/support/headers.sh"
build=${BUILD:-build}
mkdir -p "$build/model_headers"
tmp=$(cd "$build/model_headers" && pwd)
extra="-O0 -fopenmp"
full=
[ "$DRACO_STRESS" != full ] || full=1
reader=clang
command -v clang >/dev/null || reader=gcc

switch_of() { # draco_text.h -> DRACO_DATA: the data headers share their switches
    case $1 in
        draco_dataset.h | draco_text.h | draco_generate.h) echo DRACO_DATA ;;
        *) echo "${1%.h}" | tr 'a-z' 'A-Z' ;;
    esac
}
# Parts of an implementation, with no declarations for others.
parts=" draco_compute.h draco_layers.h draco_rows.h draco_winograd.h "
is_part() {
    case $parts in *" $1 "*) return 0 ;; esac
    return 1
}

with() { # COMPILER-AND-LANGUAGE FILE: the unit compiles
    # shellcheck disable=SC2086
    $1 $warn -fsyntax-only "$2" >"$tmp/errors" 2>&1 && return 0
    echo "# $1: $(basename "$2")"
    sed 's/^/# /' "$tmp/errors" | head -n 20
    return 1
}
declares() { # PATH: included twice, in each language
    printf '#include "%s/%s"\n#include "%s/%s"\n' "$root" "$1" "$root" "$1" >"$tmp/declares.c"
    cp "$tmp/declares.c" "$tmp/declares.cc"
    for language in "gcc -std=c11" "clang -std=c11" "clang -std=gnu11"; do
        [ -n "$full" ] || [ "$language" != "clang -std=gnu11" ] || continue
        ! command -v "${language%% *}" >/dev/null || with "$language" "$tmp/declares.c" || return 1
    done
    for language in "g++ -std=c++17" "clang++ -std=c++17"; do
        [ -n "$full" ] || [ "$language" = "g++ -std=c++17" ] || continue
        ! command -v "${language%% *}" >/dev/null || with "$language" "$tmp/declares.cc" || return 1
    done
}
refuses() { # LANGUAGE FILE PATH: the implementation of a header is refused, and the first error says by which header
    # shellcheck disable=SC2086
    if $1 -fopenmp -fsyntax-only "$2" >"$tmp/errors" 2>&1; then
        echo "# $1 takes the implementation of $3"
        return 1
    fi
    grep error "$tmp/errors" | head -n 1 | grep -q 'error.*"draco_[a-z]*\.h: ' && return 0
    echo "# $1, $3:"
    sed 's/^/# /' "$tmp/errors" | head -n 5
    return 1
}
needs() { # PATH SWITCH: C++ is refused; strict C is refused, or compiles
    printf '#define %s_IMPLEMENTATION\n#include "%s/%s"\n' "$2" "$root" "$1" >"$tmp/needs.c"
    cp "$tmp/needs.c" "$tmp/needs.cc"
    refuses "g++ -std=c++17" "$tmp/needs.cc" "$1" || return 1
    gcc -std=c11 -fopenmp -fsyntax-only "$tmp/needs.c" >/dev/null 2>&1 || refuses "gcc -std=c11" "$tmp/needs.c" "$1"
}

for path in "$root"/models/*.h "$root"/baselines/*.h; do
    file=$(basename "$path")
    short=${path#"$root"/}
    p=$(switch_of "$file")
    bad=0
    if [ -n "$full" ]; then
        for compiler in gcc clang; do
            command -v $compiler >/dev/null || continue
            compiles $compiler "$short" || bad=1
            compiles $compiler "$short" "${p}_IMPLEMENTATION" || bad=1
            { compiles $compiler "$short" "${p}_IMPLEMENTATION" "${p}_STATIC" && exports_nothing; } || bad=1
        done
    else
        extra="-fopenmp -fsyntax-only"
        compiles "$reader" "$short" "${p}_IMPLEMENTATION" || bad=1
        extra="-O0 -fopenmp"
    fi
    is_part "$file" || declares "$short" || bad=1
    case $file in
        draco_math.h | draco_model.h | draco_naive.h) ;; # static inline functions in either language
        *) needs "$short" "$p" || bad=1 ;;
    esac
    result $bad "$file"
done

# The transports' declarations; what their implementations do is in test_mpi_headers.sh and test_grpc_headers.sh.
mpi=$(pkg-config --cflags ompi-c 2>/dev/null | sed 's/-I/-isystem /g')
bare=$warn
for name in openmp liveness mpi grpc; do
    if [ $name = mpi ]; then
        [ -n "$mpi" ] || continue
        warn="$bare $mpi"
    fi
    bad=0
    declares "transports/draco_$name.h" || bad=1
    printf '#define DRACO_%s_IMPLEMENTATION\n#include "%s/transports/draco_%s.h"\n' "$(echo $name | tr 'a-z' 'A-Z')" "$root" $name >"$tmp/needs.cc"
    refuses "g++ -std=c++17 $mpi" "$tmp/needs.cc" "$name" || bad=1
    result $bad "draco_$name.h"
done
warn=$bare

# Every header with its implementation in one unit; $1 is what stands before models/, $2 STATIC or nothing.
everything() {
    for path in "$root"/models/*.h "$root"/baselines/*.h "$root"/transports/draco_openmp.h; do
        file=$(basename "$path")
        for part in IMPLEMENTATION $2; do echo "#define $(switch_of "$file")_$part"; done
        echo "#include \"$1$(basename "$(dirname "$path")")/$file\""
    done
}
layout() { # TEXT PREFIX OPTION...
    text=$1
    everything "$2" "" >"$tmp/elsewhere/layout.c"
    shift 2
    bad=0
    # shellcheck disable=SC2086
    (cd "$tmp/elsewhere" && gcc -std=gnu11 $warn $extra "$@" -fsyntax-only layout.c) >"$tmp/errors" 2>&1 || bad=1
    [ $bad -eq 0 ] || sed 's/^/# /' "$tmp/errors" | head -n 20
    result $bad "layout: $text"
}
rm -rf "$tmp/elsewhere" "$tmp/copy" "$tmp/include"
mkdir -p "$tmp/elsewhere" "$tmp/copy" "$tmp/include/draco-codes"
for place in "$tmp/copy" "$tmp/include/draco-codes"; do
    cp "$root"/*.h "$place"
    for folder in models baselines transports; do
        mkdir "$place/$folder"
        cp "$root/$folder"/*.h "$place/$folder"
    done
done
layout "in the tree, with -I" "" -I"$root"
layout "copied beside the program, without -I" "../copy/"
layout "installed as draco-codes" "draco-codes/" -I"$tmp/include"

bad=0
everything "" STATIC | grep -vi openmp >"$tmp/unit.c" # whose critical section has a name
# shellcheck disable=SC2086
gcc -std=gnu11 $warn $extra -I"$root" -c "$tmp/unit.c" -o "$tmp/unit.o" >"$tmp/errors" 2>&1 && exports_nothing || bad=1
[ $bad -eq 0 ] || sed 's/^/# /' "$tmp/errors" | head -n 20
result $bad "static copies of all headers export nothing"

# C++ calls what a C compiler made.
cat >"$tmp/made.c" <<'UNIT'
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_optim.h"
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"
UNIT
cat >"$tmp/calls.cc" <<'UNIT'
#include "models/draco_optim.h"
#include "baselines/draco_rules.h"
#include <cstring>
int main() {
    draco_optim memory;
    draco_optimizer optimizer;
    draco_optim_config config = {};
    draco_rule rule;
    if (draco_optim_open(&optimizer, &memory, &config) < 0 || draco_rule_make(&rule, "krum", nullptr) < 0) return 1;
    const bool same = std::strcmp(optimizer.name, "sgd") == 0 && std::strcmp(rule.name, "krum") == 0;
    draco_rule_free(&rule);
    return same ? 0 : 1;
}
UNIT
bad=0
# shellcheck disable=SC2086
{ gcc -std=gnu11 $warn -I"$root" -c "$tmp/made.c" -o "$tmp/made.o" &&
    g++ -std=c++17 $warn -I"$root" "$tmp/calls.cc" "$tmp/made.o" -lm -o "$tmp/calls" && "$tmp/calls"; } \
    >"$tmp/errors" 2>&1 || bad=1
[ $bad -eq 0 ] || sed 's/^/# /' "$tmp/errors" | head -n 20
result $bad "C++ calls an implementation that a C compiler made"
echo "1..$number"
