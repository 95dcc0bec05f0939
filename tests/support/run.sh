#!/bin/sh
# Run test programs and scripts that print TAP, each with a time limit, and end with 'N passed, N failed'.
# usage: run.sh BUILD PROGRAM...
build=$1
shift
limit=${DRACO_TEST_SECONDS:-900}
passed=0
failed=0
skipped=0
export CMOCKA_MESSAGE_OUTPUT=TAP BUILD="$build"
mkdir -p "$build/logs"
for program in "$@"; do
    name=$(basename "$program" .sh)
    log=$build/logs/$name.log
    case $program in
        *.sh) run="sh $program" ;;
        *) run=$program ;;
    esac
    begin=$(date +%s)
    # shellcheck disable=SC2086
    timeout -k 10 "$limit" $run >"$log" 2>&1 </dev/null
    code=$?
    p=$(grep -c '^ok' "$log")
    k=$(grep -ciE '^(not )?ok.*# *skip' "$log")
    f=$(grep '^not ok' "$log" | grep -cvi '# *skip')
    p=$((p - $(grep -ci '^ok.*# *skip' "$log")))
    # A program that died, timed out, or tested nothing has failed, whatever it printed.
    if [ "$f" -eq 0 ] && { [ "$code" -ne 0 ] || [ $((p + k)) -eq 0 ]; }; then
        f=1
        echo "not ok - $name ended with code $code" >>"$log"
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + k))
    printf '%-34s %4d passed %3d failed %3d skipped %4d s\n' "$name" "$p" "$f" "$k" $(($(date +%s) - begin))
    [ "$k" -eq 0 ] || grep -iE '^(not )?ok.*# *skip' "$log" | sed 's/^/    /'
    if [ "$f" -ne 0 ]; then
        grep -v '^ok' "$log" | tail -n 40 | sed 's/^/    /'
    fi
done
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
