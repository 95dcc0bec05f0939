#!/bin/sh
# Draco builds without a warning with neither transport library nor libmicrohttpd, with either transport and with all (the build under test). What
# the other three compile by another command than the build under test is built here; the rest is proved by that. The
# demo runs in the build that has neither.
build=${BUILD:-build}
dir=$build/builds
quickly=OPT=-O1 # compiles in a third of the time of -O3; -O0, where nothing is run, in half of that
mkdir -p "$dir"
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 20 "$dir/log"; }

commands() { # BUILD [VARIABLE...]: each compiler command with %BUILD% for the folder
    where=$1
    shift
    make -nB --no-print-directory BUILD="$where" WERROR=-Werror "$@" programs 2>"$dir/log" | grep -- ' -o ' |
        sed "s|$where/|%BUILD%/|g" | sort
}

commands "$build" >"$dir/both"
[ -s "$dir/both" ]
result $? "make lists what it would do"

for without in "mpi" "grpc" "mpi grpc microhttpd"; do
    name=without-$(echo "$without" | tr ' ' '-')
    commands "$dir/$name" WITHOUT="$without" >"$dir/commands"
    [ "$without" = "mpi grpc microhttpd" ] && level=$quickly || level=OPT=-O0
    other=$(comm -13 "$dir/both" "$dir/commands" | sed "s|.* -o %BUILD%/\([^ ]*\).*|$dir/$name/\1|")
    # shellcheck disable=SC2086
    [ -n "$other" ] && make --no-print-directory "$level" BUILD="$dir/$name" WERROR=-Werror WITHOUT="$without" $other >"$dir/log" 2>&1
    result $? "without $without: $(wc -l <"$dir/commands") programs, $(echo $other | wc -w) of them not as in the full build"
done

for library in libmpi libgrpc libmicrohttpd; do
    readelf -d "$dir/without-mpi-grpc-microhttpd/draco-train" | grep NEEDED | grep -q $library && code=1 || code=0
    result $code "without mpi grpc microhttpd: draco-train needs no $library"
done

"$dir/without-mpi-grpc-microhttpd/draco-train" --metrics-port=9400 --model=softmax --data=digits >"$dir/log" 2>&1
[ $? -eq 2 ] && grep -q 'built without libmicrohttpd' "$dir/log"
result $? "without mpi grpc microhttpd: --metrics-port says which library is missing"

for program in 01_vote 02_encode_decode 03_cyclic_by_hand 04_code_table draco_plot; do
    readelf -d "$build/$program" | grep NEEDED | grep -vE '\[lib[cm]\.so'
done >"$dir/log"
[ ! -s "$dir/log" ]
result $? "the examples of the codes and draco_plot need libc and libm only"

make --no-print-directory $quickly BUILD="$dir/without-mpi-grpc-microhttpd" WITHOUT="mpi grpc microhttpd" "$dir/without-mpi-grpc-microhttpd/draco_plot" >"$dir/log" 2>&1 &&
    DRACO_DEMO=short sh examples/draco-train/demo.sh "$dir/without-mpi-grpc-microhttpd" >"$dir/log" 2>&1 &&
    grep -q 'DRACO repetition .* \([0-9]*\) of  *\1  *yes' "$dir/log"
result $? "without mpi grpc microhttpd: the short demo catches all liars of the repetition code"
echo "1..$number"
