#!/bin/sh
# What make install puts down serves a project outside: by pkg-config, by CMake, and as a shared library from Python.
# make uninstall leaves nothing.
build=${BUILD:-build}
dir=$build/install
rm -rf "$dir"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
cc=${CC:-cc}
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 20 "$dir/log"; }
skipped() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}
quietly() { "$@" >"$dir/log" 2>&1; }

quietly make --no-print-directory BUILD="$build" install DESTDIR="$dir/staged" PREFIX=/opt/some
result $? "make install DESTDIR= PREFIX="
quietly make --no-print-directory BUILD="$build" install PREFIX="$dir/there" LIBDIR="$dir/there/lib/arch"
result $? "make install PREFIX= LIBDIR="
[ "$(cd "$dir/staged/opt/some/include" && ls)" = draco-codes ]
result $? "the headers are in include/draco-codes alone"

lib=$dir/there/lib/arch/libdraco-codes.so.0
nm -D --defined-only "$lib" | awk '{ print $3 }' >"$dir/names"
grep -v '^draco_' "$dir/names" >"$dir/log"
[ ! -s "$dir/log" ] && [ "$(wc -l <"$dir/names")" -gt 50 ]
result $? "the shared library shows draco_ symbols only: $(wc -l <"$dir/names")"
cat draco.h draco_codes.h draco_vote.h | tr '\n' ' ' | grep -oE 'DRACO(_VOTE|_CODES)?_API [a-z][^;{(]*\(' |
    grep -oE 'draco_[a-z0-9_]*\($' | tr -d '(' | sort -u >"$dir/declared"
sort -u "$dir/names" | diff "$dir/declared" - >"$dir/log" && [ "$(wc -l <"$dir/declared")" -gt 50 ]
result $? "and every function that the headers declare"

# A project with the library, and one with a transport and the implementation of its own.
mkdir -p "$dir/project"
cat >"$dir/project/vote.c" <<'END'
#include <draco.h>
#include <stdio.h>
int main(void) {
    float a[2] = {1, 2}, b[2] = {1, -2}, c[2] = {1, 2};
    const void *messages[3];
    draco_verdict verdicts[3];
    size_t winner = 9;
    messages[0] = a, messages[1] = b, messages[2] = c;
    if (draco_vote_exact(messages, 3, sizeof a, 2, &winner, verdicts) != DRACO_OK) return 1;
    printf("winner %u, worker 1 %s\n", (unsigned)winner, draco_verdict_text(verdicts[1]));
    return !(winner == 0 && verdicts[1] == DRACO_BLAMED);
}
END
cat >"$dir/project/openmp.c" <<'END'
#define DRACO_IMPLEMENTATION
#define DRACO_OPENMP_IMPLEMENTATION
#include <transports/draco_openmp.h>
int main(void) {
    draco_openmp_config config = {0};
    draco_transport transport;
    return draco_openmp_open(&transport, &config) >= 0; /* no model: refused */
}
END
for transport in mpi grpc; do
    awk '/^ \* program:/ { on = 1; next } /^ \* end of program/ { on = 0 } on { sub(/^ \*(     )?/, ""); print }' \
        transports/draco_$transport.h >"$dir/project/$transport.c"
done

export PKG_CONFIG_SYSROOT_DIR="$dir/staged" PKG_CONFIG_PATH="$dir/staged/opt/some/lib/pkgconfig"
# shellcheck disable=SC2046
quietly $cc -Wall -Werror "$dir/project/vote.c" -o "$dir/vote" $(pkg-config --cflags --libs draco-codes) &&
    LD_LIBRARY_PATH="$dir/staged/opt/some/lib" quietly "$dir/vote"
result $? "pkg-config: a program with the shared library: $(tail -n 1 "$dir/log")"
# shellcheck disable=SC2046
quietly $cc -Wall -Werror "$dir/project/vote.c" -o "$dir/static" $(pkg-config --cflags draco-codes) \
    "$dir/staged/opt/some/lib/libdraco-codes.a" -lm && quietly "$dir/static"
result $? "a program with the static library"
unset PKG_CONFIG_SYSROOT_DIR
export PKG_CONFIG_PATH="$dir/there/lib/arch/pkgconfig" LD_LIBRARY_PATH="$dir/there/lib/arch"
transports=openmp
pkg-config --exists ompi-c && transports="$transports mpi"
echo '#include <grpc/grpc.h>' | $cc -E - >/dev/null 2>&1 && transports="$transports grpc"
for transport in $transports; do
    # shellcheck disable=SC2046
    quietly $cc -std=gnu11 "$dir/project/$transport.c" -o "$dir/$transport" $(pkg-config --cflags --libs draco-codes-$transport)
    result $? "pkg-config: a program with transports/draco_$transport.h"
done
quietly "$dir/openmp"
result $? "and it runs"

if command -v cmake >/dev/null 2>&1; then
    {
        echo 'cmake_minimum_required(VERSION 3.13)'
        echo 'project(outside C)'
        echo 'find_package(draco-codes 0.1 REQUIRED)'
        echo 'add_executable(vote vote.c)'
        echo 'target_link_libraries(vote draco-codes::library)'
        for transport in $transports; do
            echo "add_executable($transport $transport.c)"
            echo "target_link_libraries($transport draco-codes::$transport)"
        done
    } >"$dir/project/CMakeLists.txt"
    mv "$dir/there" "$dir/moved" # the package finds itself wherever it lies
    quietly cmake -S "$dir/project" -B "$dir/cmake" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$dir/moved" \
        -Ddraco-codes_DIR="$dir/moved/lib/arch/cmake/draco-codes" && quietly cmake --build "$dir/cmake"
    result $? "CMake: a program with the library, and one for each of: $transports"
    quietly "$dir/cmake/vote" && quietly "$dir/cmake/openmp"
    result $? "and they run"
    mv "$dir/moved" "$dir/there"
else
    skipped "CMake: programs with the library and each transport" "cmake is not installed"
fi

if command -v python3 >/dev/null 2>&1; then
    quietly python3 -B tests/support/ctypes_decode.py "$lib"
    result $? "Python, by ctypes: $(tail -n 1 "$dir/log")"
else
    skipped "Python, by ctypes" "python3 is not installed"
fi

for page in draco.h draco_codes.h draco_vote.h; do
    man=$dir/there/share/man/man3/$page.3
    # Every word of the opening comment, and nothing that roff would take for a request.
    sed -n '2,/\*\//p' $page | sed -e 's/ *\*\/$//' -e 's/^ \* \{0,1\}//' | tr -s ' \n' '\n' >"$dir/comment"
    sed -n '/^.SH DESCRIPTION/,$p' "$man" | sed -e 1d -e '/^\.nf$/d; /^\.fi$/d; s/^\.SH //' -e 's/^\\&//; s/\\-/-/g; s/\\e/\\/g' |
        tr -s ' \n' '\n' | diff "$dir/comment" - >"$dir/log"
    result $? "the manual page of $page says what its opening comment says"
done
[ ! -e "$dir/there/bin/draco-train" ] || grep -q 'adversaries=S' "$dir/there/share/man/man1/draco-train.1"
result $? "draco-train has a manual page with its options"

quietly make --no-print-directory BUILD="$build" uninstall DESTDIR="$dir/staged" PREFIX=/opt/some &&
    quietly make --no-print-directory BUILD="$build" uninstall PREFIX="$dir/there" LIBDIR="$dir/there/lib/arch"
result $? "make uninstall"
find "$dir/staged" "$dir/there" ! -type d >"$dir/log"
[ ! -s "$dir/log" ]
result $? "nothing is left"
echo "1..$number"
