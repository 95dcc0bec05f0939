#!/bin/sh
# Every C file is as clang-format 14 leaves it.
. "$(dirname "$0")/support/tap.sh"
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "ok 1 - the format of the C files # SKIP clang-format 14 is not installed"
    exit 0
fi
log=${BUILD:-build}/format.log
explain() { head -n 20 "$log"; }
make --no-print-directory check-format >"$log" 2>&1
result $? "the format of the C files; 'make format' mends it"
echo "1..$number"
