#!/bin/sh
# A process that may not have the memory it needs (ulimit -v) ends with one line that says so and status 1, before a library
# fails in its own way. DRACO_STRESS=full: more limits.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d /tmp/draco-memory-XXXXXX)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { cat "$dir/err"; }
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
small="--model=softmax --data=digits --train-samples=600 --test-samples=100 --batch=30 --steps=2 --progress=none"

limited() { # MEGABYTES OPTION...
    megabytes=$1
    shift
    # shellcheck disable=SC2016,SC2086
    timeout -k 1 60 sh -c 'ulimit -c 0; ulimit -v "$0"; exec "$@"' $((megabytes * 1000)) "$train" $small "$@" >"$dir/out" 2>"$dir/err"
}
says() { # TEXT: after what ended with $?
    code=$?
    [ $code -eq 1 ] && [ "$(wc -l <"$dir/err")" -eq 1 ] && grep -q 'out of memory: ' "$dir/err"
    result $? "$1"
}

if ! limited 2000 --transport=openmp --threads=1; then # a sanitizer takes more
    echo "ok 1 - memory # SKIP limits of the address space do not work here"
    echo "1..1"
    exit 0
fi
sizes="60 100 120"
[ "${DRACO_STRESS:-}" != full ] || sizes="40 50 60 70 80 90 100 110 120"
for transport in "grpc --role=worker --worker=0 --address=unix:$dir/socket" mpi; do
    # shellcheck disable=SC2086
    if "$train" $small --transport=$transport --workers=2 --adversaries=3 2>&1 | grep -q "built without"; then
        result 0 "${transport%% *} # SKIP built without"
        continue
    fi
    for size in $sizes; do
        # shellcheck disable=SC2086
        limited "$size" --threads=1 --transport=$transport
        code=$?
        [ $code -ne 127 ] || continue # the dynamic loader's own line, before main
        (exit $code)
        says "${transport%% *}, $size MB: one line, and status 1"
    done
done
limited 200 --transport=openmp --threads=100
says "threads whose stacks do not fit"
limited 200 --transport=openmp --threads=1 --model=resnet18 --data=pictures
says "a model that does not fit"
echo "1..$number"
