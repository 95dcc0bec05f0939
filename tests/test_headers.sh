#!/bin/sh
# The three headers compile alone, twice, with and without their switches, as C99, C11 and C++11, with gcc and clang and
# every warning an error; a static copy exports no symbol; the programs in their opening comments run. In any order, linked
# and exported on demand: by gcc as C99 and C++11, implementations in every order as C99; everywhere with DRACO_STRESS=full.
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build/headers"
home=$(cd "$build/headers" && pwd)
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
headers="draco_vote.h draco_codes.h draco.h"
orders="draco_vote.h,draco_codes.h,draco.h draco_vote.h,draco.h,draco_codes.h draco_codes.h,draco_vote.h,draco.h
draco_codes.h,draco.h,draco_vote.h draco.h,draco_vote.h,draco_codes.h draco.h,draco_codes.h,draco_vote.h"

say() { # outcome text
    echo "$1 - $2"
    [ "$1" = ok ] || sed 's/^/# /' "$tmp/errors" | head -n 20
}
prefix() { # DRACO_VOTE of draco_vote.h
    echo "${1%.h}" | tr 'a-z' 'A-Z'
}
source_of() { # definitions (comma-separated, may be empty), headers (comma-separated)
    for name in $(echo "$1" | tr ',' ' '); do echo "#define $name"; done
    for header in $(echo "$2" | tr ',' ' '); do echo "#include \"$header\""; done
}
try() { # flags, definitions, headers; reads $compile
    source_of "$2" "$3" >"$tmp/unit.c"
    echo "$compile $1 with '$2' and '$3':" >"$tmp/errors"
    # shellcheck disable=SC2086
    $compile $warn $1 -I"$root" "$tmp/unit.c" >>"$tmp/errors" 2>&1
}

# Warnings that need optimization are looked for once per language and compiler: C11 is C99 in this.
each_alone() {
    for header in $headers; do
        p=$(prefix "$header")
        try -fsyntax-only "" "$header" || return 1
        case $compile:$header in
            *c11:* | *:draco_vote.h | *:draco_codes.h) ;; # draco.h implements all three
            *) try "-O2 -c -o $tmp/unit.o" "${p}_IMPLEMENTATION" "$header" || return 1 ;;
        esac
        try "-O0 -c -o $tmp/unit.o" "${p}_IMPLEMENTATION,${p}_STATIC" "$header" || return 1
        nm -g --defined-only "$tmp/unit.o" | grep . >"$tmp/errors" && return 1
    done
    return 0
}
each_twice() {
    for header in $headers; do
        try -fsyntax-only "" "$header,$header" || return 1
        try -fsyntax-only "$(prefix "$header")_IMPLEMENTATION" "$header,$header" || return 1
    done
}
any_order() {
    for order in $orders; do
        try -fsyntax-only "" "$order" || return 1
        case $compile in # what an order breaks it breaks in one language as in the next
            *c99) ;;
            *) [ "$DRACO_STRESS" = full ] || continue ;;
        esac
        try -fsyntax-only "DRACO_IMPLEMENTATION" "$order" || return 1
        try -fsyntax-only "DRACO_IMPLEMENTATION,DRACO_STATIC" "$order" || return 1
    done
}
# The switch may come after the header was already seen, and another file may use what this one defines.
one_definition() {
    for header in $headers; do
        p=$(prefix "$header")
        printf '#include "%s"\n#define %s_IMPLEMENTATION\n#include "%s"\n' "$header" "$p" "$header" >"$tmp/one.c"
        printf '#include "%s"\nint main(void) { return draco_status_text(DRACO_OK)[0] == 0; }\n' "$header" >"$tmp/two.c"
        # shellcheck disable=SC2086
        $compile $warn -I"$root" "$tmp/one.c" "$tmp/two.c" -o "$tmp/linked" -lm >"$tmp/errors" 2>&1 || return 1
        "$tmp/linked" >>"$tmp/errors" 2>&1 || return 1
    done
}
# Seconds have fractions under a strict language standard too, where <time.h> hides clock_gettime: within 50
# ms of work the clock moves, and by less than the second that time() would.
a_fine_clock() {
    source_of DRACO_IMPLEMENTATION,DRACO_STATIC draco.h >"$tmp/clock.c"
    cat >>"$tmp/clock.c" <<'END'
int main(void) {
    double begin = drs_now(), now = begin;
    while (now == begin) now = drs_now();
    return now > begin && now < begin + 0.5 ? 0 : 1;
}
END
    # shellcheck disable=SC2086
    $compile $warn -I"$root" "$tmp/clock.c" -o "$tmp/clock" -lm >"$tmp/errors" 2>&1 || return 1
    "$tmp/clock" >>"$tmp/errors" 2>&1
}
# A program may say how the functions are declared: here, to export them from a library that hides all else.
exported_on_demand() {
    for header in $headers; do
        p=$(prefix "$header")
        api='extern __attribute__((visibility("default")))'
        source_of "${p}_IMPLEMENTATION" "$header" >"$tmp/exports.c"
        # shellcheck disable=SC2086
        $compile $warn -O0 -fPIC -shared -fvisibility=hidden "-D${p}_API=$api" -I"$root" "$tmp/exports.c" \
            -o "$tmp/exports.so" -lm >"$tmp/errors" 2>&1 || return 1
        nm -D --defined-only "$tmp/exports.so" | awk '{ print $3 }' >"$tmp/errors"
        grep -q '^draco_' "$tmp/errors" || return 1
        ! grep -v '^draco_' "$tmp/errors" || return 1
    done
}
# Windows: nothing but the system's own libraries is needed, winpthreads for a clock least of all.
check_windows() {
    compile=x86_64-w64-mingw32-gcc
    tmp=$home/windows
    mkdir -p "$tmp"
    if ! command -v $compile >/dev/null 2>&1; then
        echo "ok - $compile # SKIP not installed"
        return
    fi
    program_of draco.h 2 >"$tmp/program.c"
    outcome="not ok"
    # shellcheck disable=SC2086
    if $compile -std=c99 $warn -I"$root" "$tmp/program.c" -o "$tmp/program.exe" -lbcrypt >"$tmp/errors" 2>&1 &&
        ${compile%-gcc}-objdump -p "$tmp/program.exe" >"$tmp/imports" &&
        ! grep -i pthread "$tmp/imports" >"$tmp/errors"; then
        outcome=ok
    fi
    say "$outcome" "$compile: a program of draco.h needs no winpthreads"
}

check_compiler() { # the compiler and its language
    compile=$1
    tmp=$home/$(echo "$1" | tr -d ' ')
    mkdir -p "$tmp"
    if ! command -v "${compile%% *}" >/dev/null 2>&1; then
        echo "ok - $compile # SKIP not installed"
        return
    fi
    checks="each_alone each_twice any_order one_definition a_fine_clock exported_on_demand"
    [ "$DRACO_STRESS" = full ] || case $compile in # what follows from the text alone: once in C and once in C++
        *c11 | clang*) checks="each_alone each_twice" ;;
    esac
    for what in $checks; do
        if $what; then outcome=ok; else outcome="not ok"; fi
        say "$outcome" "$compile: $(echo $what | tr '_' ' ')"
    done
}
program_of() { # header, number of the program in it
    awk -v wanted="$2" '/^ \* program:/ { on = ++seen == wanted; next } /^ \* end of program/ { on = 0 }
        on { sub(/^ \*(     )?/, ""); print }' "$root/$1"
}
check_program() { # header, number
    tmp=$home/program
    mkdir -p "$tmp"
    program_of "$1" "$2" >"$tmp/program.c"
    echo "no program between ' * program:' and ' * end of program'" >"$tmp/errors"
    outcome="not ok"
    # shellcheck disable=SC2086
    if [ -s "$tmp/program.c" ] &&
        gcc -std=c99 $warn -I"$root" "$tmp/program.c" -o "$tmp/program" -lm >"$tmp/errors" 2>&1 &&
        (cd "$tmp" && ./program) >>"$tmp/errors" 2>&1; then
        outcome=ok
    fi
    say "$outcome" "program $2 in the opening comment of $1 runs"
}
check_programs() { # header: every one, and one at least
    k=1
    while check_program "$1" "$k"; [ "$k" -lt "$(grep -c '^ \* program:' "$root/$1")" ]; do k=$((k + 1)); done
}

(for c in "gcc -std=c99" "gcc -std=c11" "g++ -x c++ -std=c++11"; do check_compiler "$c"; done) >"$home/gcc.tap" &
(for c in "clang -std=c99" "clang -std=c11" "clang++ -x c++ -std=c++11"; do check_compiler "$c"; done) >"$home/clang.tap" &
wait
{ for header in $headers; do check_programs "$header"; done; check_windows; } >"$home/program.tap"
cat "$home/gcc.tap" "$home/clang.tap" "$home/program.tap" |
    awk '/^(not )?ok - / { n++; sub(/ok - /, "ok " n " - ") } { print } END { print "1.." n }'
