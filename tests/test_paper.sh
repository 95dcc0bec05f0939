#!/bin/sh
# The paper's comparison in small: every method, every rule and the report, two steps each on generated data.
build=${BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 20 "$dir/log"; }

python3 -B bench/paper/paper.py --smoke --build "$build" --out "$dir/out" --results "$dir/results.md" >"$dir/log" 2>&1
result $? "the comparison runs and writes its report"
[ "$(wc -l <"$dir/out/paper.csv")" -eq 15 ]
result $? "paper.csv has a line for each of the 14 methods"
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
grep -q '^## Seconds at the server' "$dir/results-tables.md" &&
    grep -q 'DRACO repetition .* names all liars' "$dir/results-tables.md"
result $? "the seconds at the server are among the tables"
python3 - "$dir/results" <<'EOF'
import glob, sys, xml.etree.ElementTree as xml
heat = xml.parse(sys.argv[1] + "/attacks.svg").getroot()
curves = [xml.parse(p).getroot() for p in glob.glob(sys.argv[1] + "/error-*.svg")]
cells = [r for r in heat.findall(".//{*}rect") if r.get("height") == "22"]
sys.exit(not (len(cells) == 20 * 2 and len(curves) == 1 and len(curves[0].findall(".//{*}polyline")) == 2 * 8))
EOF
result $? "the heat map has a cell for each rule and attack, the curves a line for each of 8 methods in both panels"
mkdir "$dir/again" "$dir/kept"
python3 -B bench/paper/report.py --build "$build" --data "$dir/results" --results "$dir/again/results.md" >>"$dir/log" 2>&1 &&
    diff -r "$dir/results" "$dir/again/results" >>"$dir/log" && cmp -s "$dir/results.md" "$dir/again/results.md" &&
    cmp -s "$dir/results-tables.md" "$dir/again/results-tables.md"
result $? "report.py writes the same pages and pictures from the data beside them"
python3 -B bench/paper/report.py --build "$build" --results "$dir/kept/results.md" >>"$dir/log" 2>&1 &&
    cmp -s docs/results.md "$dir/kept/results.md" && cmp -s docs/results-tables.md "$dir/kept/results-tables.md"
result $? "docs/results.md and its tables are what report.py makes of docs/results"
echo "1..$number"
