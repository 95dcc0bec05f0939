#!/bin/sh
# Spot checks and deadlines as a user runs them: the model of a run that checks some steps has the bytes of one that checks
# all, over every transport and after going on; who lies is named; options that make no sense are refused; a worker
# that is stopped changes no bit, with several servers and with a deadline that follows the others. DRACO_STRESS=full: more steps.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d /tmp/draco-spot-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 5 "$dir"/*.log; }
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none

steps=40
[ "${DRACO_STRESS:-}" != full ] || steps=1000
common="--model=softmax --data=digits --train-samples=600 --test-samples=100 --batch=28 --workers=7 --adversaries=1
    --eval-every=0 --threads=1 --progress=none"
spot="--redundancy=reactive --check-every=10"
openmp() {
    # shellcheck disable=SC2086
    timeout 300 "$train" $common --steps=$steps "$@" >"$dir/openmp.log" 2>&1
}
same() { # TEXT
    code=$?
    [ $code -eq 0 ] && cmp -s "$dir/p" "$dir/clean"
    result $? "$1"
    rm -f "$dir/p"
}
refused() { # WORDS OPTION...
    words=$1
    shift
    openmp "$@"
    [ $? -eq 2 ] && grep -q -e "$words" "$dir/openmp.log"
    result $? "refused: $*"
}

# ---- Spot checks ----

openmp --redundancy=reactive --check-every=1 --params="$dir/clean"
result $? "a run that checks every step"
# shellcheck disable=SC2086
openmp $spot --params="$dir/p" --metrics="$dir/m"
same "one that checks a tenth: the same bytes"
[ "$(grep -c '"gradients":14,.*"checked":1' "$dir/m")" -eq $((steps / 10)) ] &&
    [ "$(grep -c '"gradients":7,.*"checked":0' "$dir/m")" -eq $((steps - steps / 10)) ]
result $? "and one copy of each gradient in the others"
openmp --redundancy=reactive --check-probability=0.3 --metrics="$dir/m" --params="$dir/p"
same "checks that are drawn: the same bytes"
grep -o '"checked":.' "$dir/m" >"$dir/drawn"
drawn="--redundancy=reactive --check-probability=0.3 --checkpoint=$dir/k --resume --metrics=$dir/m2 --params=$dir/p"
# shellcheck disable=SC2086
openmp $drawn --steps=17 && openmp $drawn
same "a run that goes on: the same bytes"
grep -o '"checked":.' "$dir/m2" | cmp -s - "$dir/drawn" && [ "$(sort -u "$dir/drawn" | wc -l)" -eq 2 ]
result $? "and the same checks"

# The first step is checked: a worker that lies in all of them is out before it has moved the model.
# shellcheck disable=SC2086
openmp $spot --attack=reverse --who=fixed --evict-after=1 --metrics="$dir/m" --params="$dir/p"
same "a liar that the first check names is out: the same bytes"
[ "$(grep -c '"event":"evict","step":0,' "$dir/m")" -eq 1 ]
result $? "and it is told who"
# Two proofs over a transport: the third check is the first without the liar, and whoever is out has two blames and no more.
out="--attack=reverse --who=fixed --evict-after=2 --check-every=5 --redundancy=reactive"
# shellcheck disable=SC2086
openmp $out --metrics="$dir/m" --params="$dir/evicted"
evicted() { # TEXT
    cmp -s "$dir/p" "$dir/evicted" && [ "$(grep -c '"event":"evict","step":5,' "$dir/m")" -eq 1 ] &&
        [ "$(grep -c '"event":"evict"' "$dir/m")" -eq 1 ] && [ "$(grep -c '"event":"step".*"blamed":\[[0-9][0-9]*\]' "$dir/m")" -eq 2 ]
    result $? "$1: the liar that two checks prove is out, and the bytes are those of one process"
    rm -f "$dir/p" "$dir/m"
}
cp "$dir/evicted" "$dir/p"
evicted openmp
# shellcheck disable=SC2086
openmp $spot --attack=reverse --who=fixed --metrics="$dir/m" --params="$dir/p" --audit="$dir/trail"
! cmp -s "$dir/p" "$dir/clean" && [ "$(grep -c '"blamed":\[[0-9]' "$dir/m")" -eq $((steps / 10)) ]
result $? "one that stays moves the model, and is named in every check, not between them"
"$BUILD/draco-audit" --replay "$dir/trail" >"$dir/audit.log" 2>&1
[ $? -eq 1 ] && grep -q 'step 2: the decoded sum is another one' "$dir/audit.log"
result $? "the trail's replay names the first step with a lie"
rm -f "$dir/p"

if command -v mpirun >/dev/null 2>&1 && ! $train --transport=mpi 2>&1 | grep -q "built without"; then
    # shellcheck disable=SC2086
    timeout 300 mpirun -n 8 "$train" $common $spot --steps=$steps --transport=mpi --params="$dir/p" >"$dir/mpi.log" 2>&1
    same "mpi: the same bytes"
    # shellcheck disable=SC2086
    timeout 300 mpirun -n 8 "$train" $common $out --steps=$steps --transport=mpi --metrics="$dir/m" --params="$dir/p" >"$dir/mpi.log" 2>&1
    evicted mpi
    # A worker is stopped after 10 steps, for 3 seconds. $1: how many servers there are.
    stopped() {
        servers=$1
        shift
        : >"$dir/m"
        # shellcheck disable=SC2016,SC2086
        METRICS=$dir/m RANK=$((servers + 4)) timeout -k 3 300 mpirun -n $((servers + 7)) sh -c '
            [ "$OMPI_COMM_WORLD_RANK" -eq "$RANK" ] || exec "$@"
            "$@" &
            while kill -0 $! && [ "$(wc -l <"$METRICS")" -lt 10 ]; do sleep 0.02; done
            kill -STOP $!
            sleep 3
            kill -CONT $!
            wait $!' sh "$train" $common --steps=$((10 * steps)) --transport=mpi --servers=$servers --metrics="$dir/m" --params="$dir/p" "$@" >"$dir/mpi.log" 2>&1
    }
    openmp --steps=$((10 * steps)) --stragglers=1 --params="$dir/clean"
    for k in 1 2; do
        stopped $k --stragglers=1 --wait=enough --ledger="$dir/l"
        same "mpi, $k server(s), a worker that is stopped: the same bytes"
        # Slow in the one step in which it was to speak for its group, late in those that did without it.
        sed -n 's/^{"worker":4,.*"gone":0,"slow":\([0-9]*\),"late":\([0-9]*\),.*"losses":0,.*/\1 \2/p' "$dir/l" | {
            read -r slow late && [ "$slow" -le 2 ] && [ "$late" -ge 10 ]
        }
        result $? "mpi, $k server(s): it is late but not needed, not slow"
    done
    stopped 1 --stragglers=1 --wait=all --deadline=5xp80
    same "mpi, a deadline that follows the others: the same bytes"
fi

if ! $train --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    openmp --redundancy=reactive --check-every=1 --params="$dir/clean"
    grpc="$train $common --transport=grpc --address=unix:$dir/socket --redundancy=reactive --steps=$steps"
    served() { # OPTION... of the server
        left=""
        for i in 0 1 2 3 4 5 6; do
            # shellcheck disable=SC2086
            timeout 300 $grpc --role=worker --worker=$i >"$dir/worker.log" 2>&1 &
            left="$left $!"
        done
        pids="$pids $left"
        # shellcheck disable=SC2086
        timeout 300 $grpc --role=server --params="$dir/p" "$@" >"$dir/grpc.log" 2>&1
        code=$?
        # shellcheck disable=SC2086
        wait $left
        return $code
    }
    served --check-every=10
    same "grpc, workers that are not told of checks: the same bytes"
    # shellcheck disable=SC2086
    served $out --metrics="$dir/m"
    evicted grpc
fi

# ---- What makes no sense ----

refused "check-every requires --redundancy=reactive" --check-every=10
refused "check-probability requires --redundancy=reactive" --check-probability=0.1 --rule=krum
refused "requires --redundancy=reactive" --check-every=10 --code=cyclic
refused "exclude each other" --redundancy=reactive --check-every=10 --check-probability=0.1
refused "requires --check-probability" --redundancy=reactive --check-every=10 --check-seed=3
refused "there is no redundancy to check with" --redundancy=reactive --adversaries=0 --check-every=10
refused "out of range" --redundancy=reactive --check-probability=1.5
refused "excludes --vote=messages" --redundancy=reactive --check-every=10 --vote=messages
for bad in x 3x 3xp 3xp101 3xp0 0.5xp90 3xp90x -1 nan 1e7; do
    refused "neither seconds up to 1e6 nor FxpQ" --deadline=$bad --transport=grpc
done
refused "requires --transport=mpi grpc" --deadline=3xp90
echo "1..$number"
