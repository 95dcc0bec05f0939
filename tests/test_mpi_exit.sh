#!/bin/sh
# draco-train under mpirun ends on all ranks, by itself and with one exit status: trained, undecodable, stopped by a
# signal, a server that cannot write, a worker that is lost; K = 1, 2, 3 servers, with and without scripts/mpi_rank.sh.
. "$(dirname "$0")/support/mpi.sh"
out=$BUILD/logs/mpi_exit
mkdir -p "$out"
explain() { grep -v PMIX "$out/log" | tail -n 12; }
train="$BUILD/draco-train --transport=mpi --model=softmax --data=digits --train-samples=500 --test-samples=100 --workers=5
    --adversaries=1 --batch=20 --seed=3 --progress=plain --deadline=20 --join-seconds=20"

run() { # SERVERS WRAPPED OPTION...
    servers=$1
    wrapped=$2
    shift 2
    set -- $train --servers="$servers" "$@"
    if [ "$wrapped" = yes ]; then
        set -- --mca orte_allowed_exit_without_sync 1 -x DRACO_MPI_SERVERS="$servers" -n $((5 + servers)) scripts/mpi_rank.sh "$@"
    else
        set -- -n $((5 + servers)) "$@"
    fi
    timeout -k 3 60 mpirun "$@" >"$out/log" 2>&1
}

# The end of training, and nothing else than it, hung in half of the runs once.
times=1
[ "${DRACO_STRESS:-}" != full ] || times=50
for servers in 1 2 3; do
    for wrapped in no yes; do
        bad=0
        i=0
        while [ $i -lt $times ]; do
            run $servers $wrapped --steps=6 --eval-every=0
            [ $? -eq 0 ] && grep -q '^test accuracy' "$out/log" || bad=$((bad + 1))
            i=$((i + 1))
        done
        [ $bad -eq 0 ]
        result $? "$servers server(s), wrapper: $wrapped: $times run(s) end with 0 and an accuracy ($bad do not)"
    done
done

run 3 yes --steps=50 --attack=gaussian --liars=4 --who=worst --policy=stop
[ $? -eq 3 ] && [ "$(grep -c 'worker [0-4]: a step could not be decoded' "$out/log")" -eq 5 ]
result $? "undecodable, 3 servers: 3, and every worker knows"

run 3 yes --steps=50 --checkpoint=/nonexistent/checkpoint
[ $? -eq 2 ] && [ "$(grep -c 'worker [0-4]: wrong option' "$out/log")" -eq 5 ]
result $? "no server can write its checkpoint: 2 before the first step, and every worker knows"

mkdir -p "$out/checkpoint.1" # the second server's file cannot be written
run 3 yes --steps=50 --checkpoint="$out/checkpoint"
[ $? -eq 2 ] && [ "$(grep -c 'worker [0-4]: wrong option' "$out/log")" -eq 5 ]
result $? "one server of 3 cannot write its checkpoint: 2 on all"
rmdir "$out/checkpoint.1"

# What decides a gradient's bits is compared before the first step: an option, and the bytes of the data.
differs() { # WHAT SHELL-WORDS-FOR-RANK-4
    # shellcheck disable=SC2086
    timeout -k 3 60 mpirun -n 6 sh -c "[ \"\$OMPI_COMM_WORLD_RANK\" -ne 4 ] || set -- \"\$@\" $2; exec \"\$@\"" sh \
        $train --steps=6 >"$out/log" 2>&1
    [ $? -eq 2 ] && grep -q "rank 4 has '$1=[^']*' where rank 0 has '$1=" "$out/log"
    result $? "a rank with another $1 is refused and named"
}
differs l2 --l2=0.001
differs data-digest "--held-out=0.2 --train-samples=625" # as many samples, but others

# SIGTERM to mpirun: it passes it on, and returns 1 whatever the ranks do.
for servers in 1 3; do
    for wrapped in no yes; do
        rm -f "$out"/stopped*
        rm -f "$out/log"
        run $servers $wrapped --steps=1000000 --eval-every=0 --checkpoint="$out/stopped" &
        runs=$!
        i=0
        until grep -q '^step' "$out/log" 2>/dev/null || [ $i -ge 200 ]; do sleep 0.1; i=$((i + 1)); done
        pkill -TERM -P "$(pgrep -P "$(pgrep -P $runs -x timeout)" -x mpirun)" -f draco-train # the ranks, as Slurm does
        wait $runs
        code=$?
        files=$(find "$out" -name 'stopped*' -size +0 | wc -l)
        [ $code -eq 130 ] && [ "$files" -eq "$servers" ] && [ "$(grep -c 'worker [0-4]: stopped early' "$out/log")" -eq 5 ]
        result $? "SIGTERM to the ranks, $servers server(s), wrapper: $wrapped: 130, $files checkpoint(s), every worker knows (code $code)"
    done
done
echo "1..$number"
