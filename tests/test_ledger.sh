#!/bin/sh
# Which machine is it? Workers of which each has another fault are named by the server, with the kind and how often, and
# nobody else is; the model is the one of honest workers. The ledger goes on through a checkpoint.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d /tmp/draco-ledger-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 25 "$dir/out" "$dir/err" "$dir"/worker-*.log 2>/dev/null; }
export OMP_NUM_THREADS=1
small="--model=softmax --data=digits --train-samples=600 --test-samples=100 --threads=1"

# The number behind a key of a worker in a ledger.
count() { # FILE WORKER KEY
    sed -n "s/^{\"worker\":$2,.*\"$3\":\([0-9]*\),.*/\1/p" "$1"
}
counts() { # FILE WORKER "KEY=NUMBER ...": are they so?
    for pair in $3; do
        [ "$(count "$1" "$2" "${pair%=*}")" = "${pair#*=}" ] || return 1
    done
}
nothing="blamed=0 suspected=0 malformed=0 gone=0 slow=0 losses=0"

# ---- In one process ----

# shellcheck disable=SC2086
$train $small --batch=30 --steps=12 --attack=reverse --who=fixed --progress=plain --ledger="$dir/l" --metrics="$dir/m" >"$dir/out" 2>"$dir/err"
result $? "a run with two liars that stay"
liars=$(sed -n 's/^step 1: blamed: worker \([0-9]*\), worker \([0-9]*\)$/\1 \2/p' "$dir/out")
good=0
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    blamed=0
    for liar in $liars; do [ "$liar" = $i ] && blamed=12; done
    counts "$dir/l" $i "present=12 blamed=$blamed suspected=0 malformed=0 gone=0 slow=0 late=0" || good=1
done
[ -n "$liars" ] && [ $good -eq 0 ]
result $? "the ledger has each liar blamed 12 times, and nobody else"
[ "$(grep -c 'blamed from step 1 to step 12' "$dir/out")" -eq 2 ] && grep -q '"event":"end".*"workers":\[{"worker":0,' "$dir/m"
result $? "so do the table at the end and the metrics"
python3 -c 'import json, sys; l = json.load(open(sys.argv[1])); sys.exit(len(l["workers"]) != 15 or l["rounds"] != 12)' "$dir/l"
result $? "the file is JSON"
# shellcheck disable=SC2086
$train $small --batch=30 --steps=12 --attack=reverse --fail-on-blame --progress=none >"$dir/out" 2>"$dir/err"
[ $? -eq 6 ]
result $? "--fail-on-blame: exit status 6"
# shellcheck disable=SC2086
$train $small --batch=30 --steps=12 --fail-on-blame --metrics="$dir/m" --progress=plain >"$dir/out" 2>"$dir/err" &&
    ! grep -q 'wrongly\|caught\|something to say' "$dir/out" && ! grep -q 'wrongly\|caught' "$dir/m"
result $? "nobody lies: exit status 0, no table, and nothing that only a simulation knows"

# A run in three pieces has the ledger of one in one piece.
for steps in 3 7 12; do
    # shellcheck disable=SC2086
    $train $small --batch=30 --steps=$steps --attack=reverse --who=fixed --checkpoint="$dir/c" --resume --ledger="$dir/pieces" \
        --progress=none >"$dir/out" 2>"$dir/err"
done
fields() { sed 's/"mean_seconds.*//' "$1"; }
[ "$(fields "$dir/l")" = "$(fields "$dir/pieces")" ]
result $? "it goes on through checkpoints"

# ---- Workers with faults, processes of their own ----

faults="--workers=12 --adversaries=4 --stragglers=3 --batch=24 --steps=50 --progress=plain"
# shellcheck disable=SC2086
$train $small $faults --params="$dir/honest" >"$dir/out" 2>"$dir/err"
result $? "the run of honest workers"
# 0 upward, 1 flush, 2 another L2 term, 3 one bit in one step of fifty, 4 slow, 5 killed, 6 set up differently (gRPC), the others
# honest.
kinds="upward flush l2 flip slow die none none none none none none"
served="--wait=all --deadline=3 --join-seconds=8 --no-probe --params=$dir/p --ledger=$dir/l"

judge() { # TRANSPORT FIRST-HONEST
    cmp -s "$dir/p" "$dir/honest"
    result $? "$1: the model has the bytes of honest workers"
    counts "$dir/l" 0 "present=50 blamed=50 malformed=0 gone=0 slow=0 losses=0"
    result $? "$1: rounding upward: blamed in 50 of 50 rounds"
    if [ "$(uname -m)" = x86_64 ]; then
        counts "$dir/l" 1 "present=50 blamed=50 malformed=0 gone=0 slow=0 losses=0"
        result $? "$1: flushing denormal numbers to zero: blamed in 50 of 50 rounds"
    fi
    counts "$dir/l" 2 "present=50 blamed=50 malformed=0 gone=0 slow=0 losses=0"
    result $? "$1: another L2 term: blamed in 50 of 50 rounds"
    counts "$dir/l" 3 "present=50 blamed=1 malformed=0 gone=0 slow=0 losses=0" && grep -q '"worker":3,.*"first_blamed":25,"last_blamed":25,' "$dir/l"
    result $? "$1: one flipped bit: blamed once, in step 26"
    counts "$dir/l" 4 "present=48 blamed=0 malformed=0 gone=0 slow=2 late=0 losses=0"
    result $? "$1: slow in two steps: absent because it was slow, twice"
    counts "$dir/l" 5 "present=20 blamed=0 malformed=0 slow=0 late=0 gone=30 joins=1 losses=1"
    result $? "$1: killed in step 21: gone in 30 rounds, lost once"
    python3 - "$dir/l" "$began" "$(date +%s)" <<'END'
import calendar, json, sys, time
row = json.load(open(sys.argv[1]))["workers"][8]
first, last = (calendar.timegm(time.strptime(row[key], "%Y-%m-%dT%H:%M:%SZ")) for key in ("first_reply", "last_reply"))
sys.exit(not (0 < row["mean_seconds"] <= row["p99_seconds"] < 5 and int(sys.argv[2]) <= first < last <= int(sys.argv[3])))
END
    result $? "$1: mean and 99th percentile of an honest worker's seconds, and its first and last reply, within the run"
    good=0
    for i in $(seq "$2" 11); do counts "$dir/l" "$i" "present=50 joins=1 refusals=0 late=0 $nothing" || good=1; done
    result $good "$1: nobody else is named"
    grep -q '^step 1: blamed: worker 0 .*, worker 2 ' "$dir/out"
    result $? "$1: a line on the screen names them in the first round"
}
has() { ! $train "$@" 2>&1 | grep -q "built without"; }

if has --transport=grpc --role=worker; then
    common="$small $faults --transport=grpc --address=unix:$dir/socket"
    worker() { # INDEX FAULT OPTION...
        i=$1
        fault=$2
        shift 2
        # shellcheck disable=SC2086
        PEER_SECONDS=4 PEER_FAULT=$fault timeout 120 "$BUILD/tests/peer_train" $common --role=worker --worker="$i" "$@" \
            >"$dir/worker-$i.log" 2>&1 &
        pids="$pids $!"
    }
    began=$(date +%s)
    # shellcheck disable=SC2086
    timeout 120 $train $common $served >"$dir/out" 2>"$dir/err" &
    server=$!
    pids="$pids $server"
    number_of=0
    for kind in $kinds; do
        # shellcheck disable=SC2046
        worker $number_of "$kind" $([ $number_of -ne 6 ] || echo --l2=0.25)
        number_of=$((number_of + 1))
    done
    wait $server
    result $? "gRPC: a run with seven workers that each have another fault"
    judge gRPC 7
    counts "$dir/l" 6 "present=0 blamed=0 malformed=0 slow=0 gone=50 joins=0" && [ "$(count "$dir/l" 6 refusals)" -ge 1 ] &&
        grep -q '"worker":6,.*l2=0.25' "$dir/l"
    result $? "gRPC: set up differently: refused, with what differs"

    # Late but not needed, which is no fault.
    common="$small --workers=4 --adversaries=1 --stragglers=1 --batch=20 --steps=40 --progress=none --transport=grpc --address=unix:$dir/other"
    # shellcheck disable=SC2086
    timeout 120 $train $common --wait=enough --no-probe --ledger="$dir/l" >"$dir/out" 2>"$dir/err" &
    server=$!
    pids="$pids $server"
    worker 0 lag
    for number_of in 1 2 3; do worker $number_of none; done
    wait $server
    counts "$dir/l" 0 "$nothing" && [ "$(count "$dir/l" 0 late)" -ge 20 ] &&
        [ $(($(count "$dir/l" 0 late) + $(count "$dir/l" 0 present))) -eq 40 ]
    result $? "gRPC: a worker that others do not wait for is late, neither slow nor gone"
else
    result 0 "gRPC # SKIP built without gRPC"
fi

if command -v mpirun >/dev/null 2>&1 && has --transport=mpi; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_hwloc_base_binding_policy=none
    command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
    cat >"$dir/rank.sh" <<'END'
#!/bin/sh
# $KINDS: faults of the ranks 1, 2, ...
[ "$OMPI_COMM_WORLD_RANK" -gt 0 ] || exec "$@"
program=$(dirname "$1")/tests/peer_train
shift
exec env PEER_SECONDS=4 PEER_FAULT="$(echo "$KINDS" | cut -d ' ' -f "$OMPI_COMM_WORLD_RANK")" "$program" "$@"
END
    ranks() { # RANKS OPTION...
        many=$1
        shift
        # shellcheck disable=SC2086
        timeout -k 3 120 mpirun --mca orte_allowed_exit_without_sync 1 -n "$many" scripts/mpi_rank.sh sh "$dir/rank.sh" "$train" $small \
            --transport=mpi "$@" >"$dir/out" 2>"$dir/err"
    }
    export KINDS="$kinds"
    began=$(date +%s)
    # shellcheck disable=SC2086
    ranks 13 $faults $served
    result $? "MPI: a run with six workers that each have another fault"
    judge MPI 6
    grep -q "\"worker\":7,\"name\":\"rank 8\",\"address\":\"$(uname -n)\"" "$dir/l"
    result $? "MPI: the ledger has each rank's host"
    KINDS="lag none none none"
    ranks 5 --workers=4 --adversaries=1 --stragglers=1 --batch=20 --steps=40 --progress=none --wait=enough --no-probe --ledger="$dir/l"
    counts "$dir/l" 0 "$nothing" && [ "$(count "$dir/l" 0 late)" -ge 20 ] &&
        [ $(($(count "$dir/l" 0 late) + $(count "$dir/l" 0 present))) -eq 40 ]
    result $? "MPI: a worker that others do not wait for is late, neither slow nor gone"
else
    result 0 "MPI # SKIP no mpirun, or built without MPI"
fi
echo "1..$number"
