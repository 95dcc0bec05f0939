#!/bin/sh
# The documentation holds: relative links lead somewhere, and every line that runs draco-train takes its options.
build=${BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { cat "$dir/wrong"; }

pages="README.md examples/deploy/README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md bench/README.md $(ls docs/*.md)"

for page in $pages; do
    # Links and pictures, without addresses elsewhere and without anchors.
    grep -o '](\([^)]*\))' "$page" | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^[a-z]*:' | grep . | sort -u |
        while read -r target; do
            [ -e "$(dirname "$page")/$target" ] || echo "$page: $target"
        done >"$dir/wrong"
    [ ! -s "$dir/wrong" ]
    result $? "$page: every relative link leads to a file"
done

# Functions, types and tables that the pages name are there.
for page in README.md SECURITY.md docs/architecture.md docs/codes.md docs/reproducible.md; do
    grep -oE '`(draco|dr[a-z]|dr_[a-z]+|train)_[a-z0-9_]+`' "$page" | tr -d '`' | sort -u | while read -r word; do
        cat ./*.h transports/*.h models/*.h baselines/*.h examples/draco-train/*.h examples/draco-train/*.c |
            grep -q "\<$word\>" || echo "$page: $word"
    done >"$dir/wrong"
    [ ! -s "$dir/wrong" ]
    result $? "$page: every function and type that it names is in a header"
done

# The options of every draco-train line; what stands for something else ("...", certificates, places) is cut away,
# and the model is the smallest, on generated data, for one step.
for page in README.md bench/README.md; do
    : >"$dir/wrong"
    lines=0
    grep -ho 'build/draco-train [^`|#]*' "$page" | grep -v -e '--transport=' | sort -u >"$dir/lines"
    while read -r line; do
        # shellcheck disable=SC2086
        set -- ${line#build/draco-train}
        options=""
        for option; do
            case $option in
                --model=* | --data=* | --steps=* | ...) ;;
                --*) options="$options $option" ;;
            esac
        done
        lines=$((lines + 1))
        # shellcheck disable=SC2086
        "$build/draco-train" $options --model=softmax --data=digits --train-samples=200 --test-samples=50 --steps=1 \
            >/dev/null 2>"$dir/err" </dev/null || { echo "$line: $(tail -n 1 "$dir/err")" >>"$dir/wrong"; }
    done <"$dir/lines"
    [ "$lines" -gt 0 ] && [ ! -s "$dir/wrong" ]
    result $? "$page: draco-train takes the options of all $lines lines"
done

# The proof of the first screen: without liars, with reversed gradients and under min-max the same model.
for attack in none reverse min-max; do
    "$build/draco-train" --model=softmax --data=digits --steps=5 --adversaries=3 --attack=$attack </dev/null 2>"$dir/wrong" |
        tail -n 1
done | sort -u >"$dir/models"
[ "$(wc -l <"$dir/models")" -eq 1 ] && grep -q '^model [0-9a-f]\{32\}$' "$dir/models"
result $? "README.md: the three digests of the first screen are one"

# The program of the first screen.
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$dir/readme.c"
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror -I. "$dir/readme.c" \
    -o "$dir/readme" -lm 2>"$dir/wrong" && "$dir/readme" >>"$dir/wrong" && said=$(sed -n 's|^} *  /\* \(.*\) \*/$|\1|p' "$dir/readme.c") &&
    [ -n "$said" ] && [ "$("$dir/readme")" = "$said" ]
result $? "README.md: the program compiles without a warning and prints what it says"

# Lines of the headers, as the table says: a quarter off is too much.
sed -n 's/^| \[\([a-z_]*\.h\)\].*| \([0-9]*\) |.*|.*|$/\1 \2/p' README.md >"$dir/sizes"
while read -r header lines; do
    awk -v said="$lines" -v is="$(wc -l <"$header")" -v h="$header" \
        'BEGIN { if (said < 0.75 * is || said > 1.25 * is) print h ": the table says " said " lines, there are " is }'
done <"$dir/sizes" >"$dir/wrong"
[ "$(wc -l <"$dir/sizes")" -eq 3 ] && [ ! -s "$dir/wrong" ]
result $? "README.md: the three headers have the lines that the table says"
echo "1..$number"
