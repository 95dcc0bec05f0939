#!/bin/sh
# Run test programs and scripts that print TAP, each with a time limit, and end with 'N passed, N failed'.
# usage: run.sh BUILD PROGRAM...
# Three run at a time: one of those that start MPI, whose ranks wait busily, one of those that compile for minutes, which gives way
# to the others, and one of the rest, which often wait for time to pass; who is through takes over what has to be compiled. Those
# that measure run alone.
limit=${DRACO_TEST_SECONDS:-900}

name_of() {
    basename "$1" .sh
}

# Run it into its log; the end of the log says how it went.
one() {
    name=$(name_of "$1")
    log=$BUILD/logs/$name.log
    case $1 in
        *headers.sh | *_portability.sh | *_builds.sh | *_install.sh | *_reproducible.sh) run="nice sh $1" ;;
        *.sh) run="sh $1" ;;
        *) run=$1 ;;
    esac
    begin=$(date +%s)
    # shellcheck disable=SC2086
    timeout -k 10 "$limit" $run >"$log" 2>&1 </dev/null
    code=$?
    k=$(grep -ciE '^(not )?ok.*# *skip' "$log")
    f=$(grep '^not ok' "$log" | grep -cvi '# *skip')
    p=$(($(grep -c '^ok' "$log") - $(grep -ci '^ok.*# *skip' "$log")))
    # A program that died, timed out, or tested nothing has failed, whatever it printed.
    if [ "$f" -eq 0 ] && { [ "$code" -ne 0 ] || [ $((p + k)) -eq 0 ]; }; then
        f=1
        echo "not ok - $name ended with code $code" >>"$log"
    fi
    echo "$p $f $k" >"$log.counts"
    { # written at once, so that two reports do not mix
        printf '%-34s %4d passed %3d failed %3d skipped %4d s\n' "$name" "$p" "$f" "$k" $(($(date +%s) - begin))
        [ "$k" -eq 0 ] || grep -iE '^(not )?ok.*# *skip' "$log" | sed 's/^/    /'
        [ "$f" -eq 0 ] || grep -v '^ok' "$log" | tail -n 40 | sed 's/^/    /'
    } >"$log.report"
    cat "$log.report"
}

if [ "$1" = --some ]; then
    for program in $2; do mkdir "$BUILD/logs/$(name_of "$program").log.taken" 2>/dev/null && one "$program"; done
    exit 0
fi

export CMOCKA_MESSAGE_OUTPUT=TAP BUILD="$1"
shift
mkdir -p "$BUILD/logs"
alone="" together="" compiling="" mpi=""
for program in "$@"; do
    rm -rf "$BUILD/logs/$(name_of "$program").log"*
    case $(name_of "$program") in
        test_model_headers | test_builds | test_portability | test_reproducible | test_headers | test_install)
            compiling="$compiling $program"
            ;;
        test_grpc_flood | test_grpc_load | test_play | test_training) alone="$alone $program" ;;
        *)
            if grep -qs -e mpirun -e support/mpi.sh -e support/soak.py "$program"; then
                mpi="$mpi $program"
            else
                together="$together $program"
            fi
            ;;
    esac
done
for lane in "$mpi $compiling" "$compiling" "$together $compiling"; do sh "$0" --some "$lane" & done
wait
for program in $alone; do one "$program"; done

passed=0 failed=0 skipped=0
for program in "$@"; do
    read -r p f k <"$BUILD/logs/$(name_of "$program").log.counts" || f=1 p=0 k=0
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + k))
done
[ "$skipped" -eq 0 ] && more="" || more=", $skipped skipped"
echo "$passed passed, $failed failed$more"
[ "$failed" -eq 0 ]
