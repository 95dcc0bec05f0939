#!/bin/sh
# A small neural-network program that knows nothing of Draco and is compiled with -Ofast gains the repetition and the
# cyclic code by a patch of at most 15 lines each; liars do not change one bit of its weights. Its gradient has an
# odd length. LIARS: how many of the workers that the patched program plays send something else.
build=${BUILD:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
. "$(dirname "$0")/support/tap.sh"
tmp=$build/third_party
rm -rf "$tmp"
mkdir -p "$tmp"
cc=${CC:-cc}
warn="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
explain() { tail -n 20 "$tmp/errors"; }
plain=$root/tests/support/tinynet.c

lines=$(wc -l <"$plain")
[ "$lines" -lt 200 ] && ! grep -qi draco "$plain"
result $? "the program has $lines lines and no Draco in it"
said=$($cc -Ofast -Wall -Werror "$plain" -o "$tmp/plain" -lm 2>"$tmp/errors" && "$tmp/plain")
echo "$said" | grep -q '^4735 weights, accuracy 0\.9\|^4735 weights, accuracy 1\.0'
result $? "it learns by itself: $said"

printf '#define DRACO_IMPLEMENTATION\n#include "draco.h"\n' >"$tmp/draco.c"
$cc -std=c99 -O2 $warn -I"$root" -c "$tmp/draco.c" -o "$tmp/draco.o" 2>"$tmp/errors"
result $? "the implementation is compiled apart, without -Ofast"

build_with() { # name, patch, sed command that varies the patched source
    patch -s -o "$tmp/$1.c" "$plain" "$root/tests/support/$2" 2>"$tmp/errors" || return 1
    sed -i "$3" "$tmp/$1.c"
    $cc -Ofast -Wall -Werror -I"$root" "$tmp/$1.c" "$tmp/draco.o" -o "$tmp/$1" -lm 2>"$tmp/errors"
}
run() { LIARS=$2 timeout 300 "$tmp/$1" "$tmp/$1.$2" >"$tmp/errors" 2>&1; }

for name in repetition cyclic; do
    build_with $name tinynet_$name.patch ''
    result $? "$name: the patched program compiles with -Ofast"
    added=$(diff "$plain" "$tmp/$name.c" | grep -c '^>')
    [ "$added" -gt 0 ] && [ "$added" -le 15 ]
    result $? "$name: $added lines were added"
    run $name 0 && run $name 1 && run $name 2 && cmp "$tmp/$name.0" "$tmp/$name.1" >"$tmp/errors" &&
        cmp "$tmp/$name.0" "$tmp/$name.2" >"$tmp/errors" && [ "$(wc -c <"$tmp/$name.0")" -eq 18940 ]
    result $? "$name: weights with one and two liars are those without, byte for byte"
    run $name 3
    [ $? -eq 1 ]
    result $? "$name: three liars are an error, not a guess"
done

# The complex field rounds: the same to within it.
build_with complex tinynet_cyclic.patch 's/DRACO_FIELD_PRIME/DRACO_FIELD_COMPLEX/' && run complex 0 && run complex 2 &&
    od -An -v -tf4 -w4 "$tmp/complex.0" >"$tmp/0.txt" && od -An -v -tf4 -w4 "$tmp/complex.2" >"$tmp/2.txt" &&
    paste "$tmp/0.txt" "$tmp/2.txt" | awk '{ d = $1 - $2; if (d * d > 1e-10) bad++ } END { exit bad > 0 || NR != 4735 }'
result $? "complex field: weights with two liars are those without, to 1e-5"

# Arrays of pointers of every type go in without a cast or a warning.
cat >"$tmp/pointers.c" <<'END'
#include "draco.h"
draco_status decode(draco_decoder *decoder, float **floats, float *const *view, const void *const *constant, float *sum);
draco_status decode(draco_decoder *decoder, float **floats, float *const *view, const void *const *constant, float *sum) {
    void *untyped[3] = {floats[0], floats[1], floats[2]};
    draco_coding coding = ZERO;
    (void)draco_coding_init(&coding);
    (void)draco_decoder_decode(decoder, floats, sum, NULL);
    (void)draco_decoder_decode(decoder, view, sum, NULL);
    (void)draco_decoder_decode(decoder, constant, sum, NULL);
    (void)draco_decoder_agreed(decoder);
    return draco_decoder_decode(decoder, untyped, sum, NULL);
}
END
for compiler in "gcc -std=c99 -DZERO={0}" "clang -std=c11 -DZERO={0}" "g++ -x c++ -std=c++11 -DZERO={}" \
    "clang++ -x c++ -std=c++17 -DZERO={}" "g++ -x c++ -std=c++11 -DZERO={0} -Wno-missing-field-initializers"; do
    if ! command -v "${compiler%% *}" >/dev/null 2>&1; then
        number=$((number + 1))
        echo "ok $number - $compiler # SKIP not installed"
        continue
    fi
    # shellcheck disable=SC2086
    $compiler $warn -I"$root" -c "$tmp/pointers.c" -o "$tmp/pointers.o" 2>"$tmp/errors"
    result $? "arrays of pointers go in as they are: $compiler"
done
echo "1..$number"
