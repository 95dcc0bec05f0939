#!/bin/sh
# The teaching page in a headless browser; see test_play.py.
build=${BUILD:-build}
. "$(dirname "$0")/support/tap.sh"
for tool in chromium chromedriver wasm-ld python3; do
    command -v $tool >/dev/null 2>&1 || command -v $tool-14 >/dev/null 2>&1 || {
        echo "ok 1 - the teaching page # SKIP $tool is not installed"
        exit 0
    }
done
if ! make --no-print-directory "$build/play.html" "$build/play_program" >"$build/play.log" 2>&1; then
    explain() { tail -n 20 "$build/play.log"; }
    result 1 "the page builds"
    exit 1
fi
exec timeout 240 python3 -B "$(dirname "$0")/test_play.py" "$build"
