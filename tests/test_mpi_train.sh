#!/bin/sh
# draco-train under mpirun: the parameters of one process, with one server and with three, with liars, and with a
# worker that is killed on the way; the exit code of a run that fails.
. "$(dirname "$0")/support/mpi.sh"
out=$BUILD/logs/mpi_train
mkdir -p "$out"
train="$BUILD/draco-train --model=softmax --data=digits --train-samples=2000 --test-samples=200 --workers=8
    --adversaries=1 --stragglers=1 --steps=40 --batch=64 --seed=3 --progress=none
    --wait=all --deadline=30"
survive="--mca orte_allowed_exit_without_sync 1"

liar="--attack=reverse --liars=1"
# shellcheck disable=SC2086
$train $liar --params="$out/openmp" >"$out/log" 2>&1
result $? "a run in one process to compare with"
for servers in 1 3; do
    timeout -k 3 120 mpirun -n $((8 + servers)) $train $liar --transport=mpi --servers="$servers" --params="$out/mpi" >"$out/log" 2>&1
    [ $? -eq 0 ] && cmp -s "$out/openmp" "$out/mpi"
    result $? "$servers server(s): the same parameters, with a liar in every step"
done

# By default rounds of the complex field do not end before all have replied, whose bits depend on who did.
complex="$train --code=cyclic --field=complex --wait=auto"
$complex --params="$out/openmp-complex" >"$out/log" 2>&1
timeout -k 3 120 mpirun -n 9 $complex --transport=mpi --params="$out/complex" >"$out/log" 2>&1
[ $? -eq 0 ] && cmp -s "$out/openmp-complex" "$out/complex"
result $? "the complex field: the parameters of one process, by default"

# A worker is killed when the run is under way; the others, and the exit code, are none the worse.
rm -f "$out/metrics"
: >"$out/metrics"
DRACO_MPI_SERVERS=1 METRICS="$out/metrics" timeout -k 3 120 mpirun $survive -n 9 scripts/mpi_rank.sh sh -c '
    [ "$OMPI_COMM_WORLD_RANK" -eq 5 ] || exec "$@"
    "$@" &
    worker=$!
    while kill -0 $worker && [ "$(wc -l <"$METRICS")" -lt 100 ]; do sleep 0.02; done
    kill -KILL $worker
    wait $worker' sh \
    $train --steps=2500 --transport=mpi --metrics="$out/metrics" --params="$out/killed" >"$out/log" 2>&1
code=$?
$train --steps=2500 --params="$out/openmp" >/dev/null 2>&1
[ "$code" -eq 0 ] && grep -q 'rank 5 ended with code 137' "$out/log" && cmp -s "$out/openmp" "$out/killed"
result $? "a worker killed on the way: exit code 0 and the same parameters"

# Three liars in one group of four are too many: the run fails, and says so by its exit code.
DRACO_MPI_SERVERS=1 timeout -k 3 120 mpirun $survive -n 9 scripts/mpi_rank.sh $train --attack=gaussian --liars=3 \
    --who=worst --policy=stop --transport=mpi >"$out/log" 2>&1
code=$?
[ "$code" -ne 0 ] && [ "$code" -ne 124 ]
result $? "a run that cannot go on ends with a code that is not 0 ($code)"

# mpirun --enable-recovery loses the exit code: the first server says so, once.
timeout -k 3 120 mpirun --enable-recovery -n 9 $train --steps=3 --transport=mpi >"$out/log" 2>&1
[ "$(grep -c 'enable-recovery always exits with 0' "$out/log")" -eq 1 ]
result $? "--enable-recovery alone: one line says that the exit code is lost"
timeout -k 3 120 mpirun $survive -n 9 scripts/mpi_rank.sh $train --steps=3 --transport=mpi >"$out/log" 2>&1
[ $? -eq 0 ] && ! grep -q 'always exits with 0' "$out/log"
result $? "without --enable-recovery there is no such line"

timeout -k 3 60 mpirun -n 5 $train --transport=mpi >"$out/log" 2>&1
[ $? -eq 2 ] && grep -q 'mpirun -n 9' "$out/log"
result $? "a wrong number of ranks: exit code 2 and the right number"
echo "1..$number"
