#!/bin/sh
# The three headers on other machines and in other languages: a target that has a compiler here builds
# tests/support/portable.c without a warning as C99, C11, C17, C++11 and C++20 (other machines: C99 and C++20), without and with optimisation, and every
# target that can run here prints the same digests. What has no compiler here is skipped by name.
. "$(dirname "$0")/support/tap.sh"
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build/portability"
tmp=$(cd "$build/portability" && pwd)
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror -I$root"

# target | C compiler | C++ compiler (clang++ needs no C++ library for these headers) | emulator, - none needed, no: not run
targets() {
    cat <<'ROWS'
x86-64 gcc|gcc -static|g++ -static|-
x86-64 clang|clang -static|clang++ -static|-
i686|i686-linux-gnu-gcc -static|clang++ --target=i686-linux-gnu -nostdinc++ -c|qemu-i386
AArch64|aarch64-linux-gnu-gcc -static|clang++ --target=aarch64-linux-gnu -nostdinc++ -c|qemu-aarch64
s390x|s390x-linux-gnu-gcc -static|clang++ --target=s390x-linux-gnu -nostdinc++ -c|qemu-s390x
musl|musl-gcc -static||-
Windows 64|x86_64-w64-mingw32-gcc|x86_64-w64-mingw32-g++|no
Windows 32|i686-w64-mingw32-gcc|i686-w64-mingw32-g++|no
ROWS
}
# All of them by gcc on x86-64, and everywhere with DRACO_STRESS=full; else the other targets have the oldest and the newest.
languages_of() { # target, whose spaces may be underscores
    case $1$DRACO_STRESS in
        *gcc | *full) echo "c99:-O3 c11:-O0 c17:-O0 c++11:-O3 c++20:-O0" ;;
        *) echo "c99:-O3 c++20:-O0" ;;
    esac
}

# One cell of the table: CELL holds 'ok', 'not ok' or 'skip', then what is to be said.
cell() { # target, language:level
    row=$(targets | grep "^$1|")
    language=${2%:*}
    level=${2#*:}
    out="$tmp/$(echo "$1-$language" | tr ' ' '_')"
    unit=$root/tests/support/portable.c
    compiler=$(echo "$row" | cut -d'|' -f2)
    runner=$(echo "$row" | cut -d'|' -f4)
    case $language in c++*)
        compiler=$(echo "$row" | cut -d'|' -f3)
        unit="-x c++ $unit -x none"
        ;;
    esac
    if [ -z "$compiler" ] || ! command -v "${compiler%% *}" >/dev/null; then
        echo "skip no compiler" >"$out.cell"
        return
    fi
    libraries=-lm
    case $1 in Windows*) libraries=-lbcrypt ;; esac
    case $compiler in *-c)
        libraries=
        runner=no
        ;;
    esac
    # shellcheck disable=SC2086
    if ! $compiler -std=$language $level $warn $unit -o "$out" $libraries >"$out.errors" 2>&1; then
        echo "not ok warnings" >"$out.cell"
        return
    fi
    case $runner in
        -) runner= ;;
        no) echo "ok compiles" >"$out.cell" && return ;;
        qemu-i386) "$out" >/dev/null 2>&1 && runner= ;; # most x86-64 kernels run it
    esac
    if [ -n "$runner" ] && ! command -v "$runner" >/dev/null; then
        echo "ok compiles" >"$out.cell"
        return
    fi
    if $runner "$out" >"$out.errors" 2>&1; then
        echo "ok $(cksum <"$out.errors" | cut -d' ' -f1)" >"$out.cell"
    else
        echo "not ok ended with code $?" >"$out.cell"
    fi
}
if [ "$1" = cell ]; then
    cell "$2" "$3"
    exit 0
fi

rm -f "$tmp"/*.cell
targets | cut -d'|' -f1 | while read -r target; do
    for language in $(languages_of "$target"); do printf '%s\n%s\n' "$target" "$language"; done
done | BUILD=$build xargs -d '\n' -n 2 -P 2 sh "$0" cell

gcc -std=c99 -O1 -I"$root" "$root/tests/support/portable.c" -o "$tmp/here" -lm && "$tmp/here" >"$tmp/here.txt"
result $? "the program runs here"
expected=$(cksum <"$tmp/here.txt" | cut -d' ' -f1)
sed 's/^/# /' "$tmp/here.txt"

rows=$(targets | cut -d'|' -f1 | tr ' ' '_')
for target in $rows; do
    line=
    for language in $(languages_of "$target"); do
        file=$tmp/$target-${language%:*}
        read -r said <"$file.cell"
        text="$target, $(echo "$language" | tr ':' ' '): no warning"
        case $said in
            skip*)
                result 0 "$text # SKIP ${said#skip }"
                shown=- ;;
            "ok compiles")
                result 0 "$text"
                shown=clean ;;
            "ok $expected")
                result 0 "$text, the same digests"
                shown=same ;;
            *)
                result 1 "$text, the same digests"
                echo "# $said"
                sed 's/^/# /' "$file.errors" | head -n 20
                shown=BAD ;;
        esac
        line="$line $(printf '%-10s' $shown)"
    done
    printf '# %-14s%s\n' "$target" "$line" >>"$tmp/table"
done
echo "# target         by language: $(languages_of gcc); $(languages_of other) (same: no warning and the same digests)"
cat "$tmp/table"
rm -f "$tmp/table"

# Every warning of clang but: structs with padding, comparisons with an exact 0, one rounded product, and for C++ the
# casts and the 0 of C.
everything() {
    printf '#define DRACO_IMPLEMENTATION\n#include "%s/draco.h"\n' "$root" >"$tmp/everything.c"
    clang -std=c99 -Weverything -Werror -Wno-padded -Wno-float-equal -Wno-bad-function-cast -fsyntax-only \
        "$tmp/everything.c" >"$tmp/errors" 2>&1 &&
        clang++ -x c++ -std=c++11 -Weverything -Werror -Wno-padded -Wno-float-equal -Wno-old-style-cast \
            -Wno-zero-as-null-pointer-constant -fsyntax-only "$tmp/everything.c" >"$tmp/errors" 2>&1
}
explain() { head -n 20 "$tmp/errors"; }
if command -v clang >/dev/null; then
    everything
    result $? "clang -Weverything"
else
    result 0 "clang -Weverything # SKIP no clang"
fi

# A program that is compiled with -Ofast may use the declarations; where bits are made, such options are refused.
fast_math() { # COMPILER-AND-LANGUAGE
    for header in draco_vote.h draco_codes.h draco.h; do
        echo "#include \"$root/$header\"" >"$tmp/fast.c"
        # shellcheck disable=SC2086
        $1 -Ofast $warn -fsyntax-only "$tmp/fast.c" >"$tmp/errors" 2>&1 || return 1
        p=$(echo "${header%.h}" | tr 'a-z' 'A-Z')
        printf '#define %s_IMPLEMENTATION\n#include "%s/%s"\n' "$p" "$root" "$header" >"$tmp/fast.c"
        for option in -Ofast -ffast-math -ffinite-math-only; do
            if $1 $option -fsyntax-only "$tmp/fast.c" >"$tmp/errors" 2>&1; then
                echo "$header was compiled with $option" >"$tmp/errors"
                return 1
            fi
            grep -q 'error.*"draco_[a-z]*\.h: .*-ffast-math' "$tmp/errors" || return 1
        done
    done
}
for compiler in "gcc -std=c99" "gcc -std=c11" "g++ -x c++ -std=c++11" "clang -std=c99" "clang -std=c11" "clang++ -x c++ -std=c++11"; do
    if command -v "${compiler%% *}" >/dev/null; then
        fast_math "$compiler"
        result $? "$compiler: declarations under -Ofast, implementations refuse it"
    else
        result 0 "$compiler and -Ofast # SKIP not installed"
    fi
done
echo "1..$number"
