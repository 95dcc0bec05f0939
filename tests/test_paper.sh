#!/bin/sh
# The paper's comparison in small: every method, every rule and the report, two steps each on generated data.
build=${BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"

python3 -B bench/paper/paper.py --smoke --build "$build" --out "$dir/out" --results "$dir/results.md" >"$dir/log" 2>&1
result $? "the comparison runs and writes its report"
[ "$(wc -l <"$dir/out/paper.csv")" -eq 14 ]
result $? "paper.csv has a line for each of the 13 methods"
python3 - "$dir/out/attacks.csv" <<'EOF'
import csv, sys
rows = list(csv.reader(open(sys.argv[1])))
sys.exit(not (len(rows) == 21 and all(cell and cell != "–" for row in rows for cell in row)))
EOF
result $? "attacks.csv has a cell for each of the 20 rules and codes"
[ "$(grep -c 'under the 1 attacks: the same bytes' "$dir/results.md")" -eq 2 ]
result $? "repetition and the prime field give the same bytes with liars and without"
apart=$(sed -n 's/.*under attack are within \([0-9.e+-]*\) .*/\1/p' "$dir/results.md")
[ -n "$apart" ] && awk "BEGIN { exit !($apart < 1e-5) }"
result $? "the complex field stays within 1e-5"
grep -q '^## Seconds at the server' "$dir/results.md" && grep -q 'DRACO repetition .* names all liars' "$dir/results.md"
result $? "the seconds at the server are in the report"
DRACO_DATA=$dir/out python3 -B bench/paper/paper.py --smoke --only report --build "$build" --out "$dir/out" \
    --results "$dir/again.md" >>"$dir/log" 2>&1 && cmp -s "$dir/results.md" "$dir/again.md"
result $? "--only report writes the same from what is there"
echo "1..$number"
