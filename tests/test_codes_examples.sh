#!/bin/sh
# The small programs about the codes run and say what the manual says; the golden vectors are what their script makes.
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
. "$(dirname "$0")/support/tap.sh"
"$build/02_encode_decode" >/dev/null
result $? "02_encode_decode names the liar and the straggler"
"$build/03_cyclic_by_hand" | grep -q "worker 3 lied"
result $? "03_cyclic_by_hand finds the liar by hand"
"$build/03_cyclic_by_hand" >/dev/null
result $? "03_cyclic_by_hand agrees with the library"
"$build/04_code_table" 45 5 0 | grep -q " 3.13 |      4.76 |     3.28 |       347 |"
result $? "04_code_table prints the line of the manual"
"$build/04_code_table" 4 2 0 >/dev/null 2>&1
[ $? -eq 2 ]
result $? "04_code_table refuses a code that cannot be"
if command -v python3 >/dev/null; then
    python3 "$root/tests/golden/codes.py" | cmp -s - "$root/tests/golden/codes.h"
    result $? "the golden vectors are what tests/golden/codes.py makes"
else
    number=$((number + 1))
    echo "ok $number - the golden vectors are what tests/golden/codes.py makes # SKIP no python3"
fi
echo "1..$number"
