#!/bin/sh
# The audit trail: each change to it is found and named, and the run is computed again from it, up to the first line that
# differs. BLAKE2b is compared with another program's.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
audit=$BUILD/draco-audit
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { tail -n 8 "$dir/out" "$dir/err"; }
small="--model=softmax --data=digits --train-samples=600 --test-samples=100 --batch=30 --threads=1 --progress=none"
t=$dir/trail

audited() { # CODE PATTERN TEXT OPTION...
    code=$1 pattern=$2 text=$3
    shift 3
    timeout 60 "$audit" "$@" >"$dir/out" 2>"$dir/err"
    [ $? -eq "$code" ] && grep -q -- "$pattern" "$dir/out" "$dir/err"
    result $? "$text"
}

# shellcheck disable=SC2086
"$train" $small --steps=20 --attack=reverse --optimizer=adam --audit="$t" >"$dir/out" 2>"$dir/err"
head=$(sed -n 's/.*digest of the last line //p' "$dir/err")
[ ${#head} -eq 64 ] && [ "$(wc -l <"$t")" -eq 22 ] && python3 -c 'import json, sys; [json.loads(l) for l in open(sys.argv[1])]' "$t"
result $? "a run with liars writes a line a round, in JSON, and tells the digest of the last"
audited 0 '22 lines, 20 steps' "draco-audit verifies it" --head="$head" "$t"
python3 - "$t" "$head" <<'END'
import hashlib, json, sys
before = "0" * 64
for line in open(sys.argv[1]):
    assert json.loads(line)["before"] == before
    before = hashlib.blake2b(line.rstrip("\n").encode(), digest_size=32).hexdigest()
assert before == sys.argv[2]
END
result $? "so does another BLAKE2b"
audited 0 'replayed: 20 steps' "and replays it" --replay "$t"

sed '8s/"present":15/"present":14/' "$t" >"$dir/bad"
audited 1 'line 9: it does not follow from the line before' "one changed byte: found and named" "$dir/bad"
sed 8d "$t" >"$dir/bad"
audited 1 'line 8: it does not follow from the line before' "one missing line: found and named" "$dir/bad"
sed '8s/"before":"\(.\)/"before":"z/' "$t" >"$dir/bad"
audited 1 'line 8: it is not in the form of a trail' "what is no trail: found and named" "$dir/bad"
sed '$d' "$t" >"$dir/bad"
audited 0 'does not say that the run ended' "a trail without its end is said to have none" "$dir/bad"
audited 1 'lines are missing at its end' "and with the digest of the last line it is refused" --head="$head" "$dir/bad"
head -c -5 "$t" >"$dir/bad"
audited 1 'line 22: it is not whole' "half a line: found and named" "$dir/bad"
audited 2 'nowhere' "no trail: status 2" "$dir/nowhere"
: >"$dir/bad"
audited 1 'it is empty' "an empty trail" "$dir/bad"

# Whoever writes the chain anew, with a digest of the sum, or of the model, that is wrong: only a replay finds it.
for key in sum parameters; do
    python3 - "$t" "$dir/bad" $key <<'END'
import hashlib, json, re, sys
before = "0" * 64
with open(sys.argv[2], "w") as out:
    for number, line in enumerate(open(sys.argv[1]), 1):
        line = re.sub('"before":"[0-9a-f]*"', '"before":"%s"' % before, line.rstrip("\n"))
        if number == 12:
            line = re.sub('"%s":"[0-9a-f]' % sys.argv[3], lambda m: m.group()[:-1] + ("0" if m.group()[-1] != "0" else "1"), line)
        before = hashlib.blake2b(line.encode(), digest_size=32).hexdigest()
        out.write(line + "\n")
END
    audited 0 '22 lines' "a chain that was written anew ($key) is a chain" "$dir/bad"
    audited 1 'line 12: step 11: the \(decoded sum\|model after the step\) is another one' "a wrong digest ($key): the replay stops at its line" --replay "$dir/bad"
done

# Pieces of a run, one of them killed: one trail.
# shellcheck disable=SC2086
"$train" $small --steps=9 --code=cyclic --audit="$dir/p" --checkpoint="$dir/c" >"$dir/out" 2>"$dir/err"
# shellcheck disable=SC2086
"$train" $small --steps=1000000 --code=cyclic --audit="$dir/p" --checkpoint="$dir/c" --resume >"$dir/out" 2>"$dir/err" &
pid=$!
i=0
while [ "$(wc -l <"$dir/p")" -lt 30 ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
kill -9 $pid
wait $pid 2>/dev/null
# shellcheck disable=SC2086
"$train" $small --steps=40 --code=cyclic --audit="$dir/p" --checkpoint="$dir/c" --resume >"$dir/out" 2>"$dir/err"
result $? "a run that was killed goes on with its trail"
audited 0 'replayed: ' "which is verified and replayed as one" --replay "$dir/p"
# shellcheck disable=SC2086
"$train" $small --steps=3 --audit="$t" >"$dir/out" 2>"$dir/err"
[ $? -eq 2 ] && grep -q 'there is an audit trail already' "$dir/err"
result $? "another run does not overwrite it"
rm -f "$dir/c" "$dir/p"
# shellcheck disable=SC2086
"$train" $small --steps=3 --rule=mean --audit="$dir/r" >"$dir/out" 2>"$dir/err"
audited 2 'cannot be replayed' "a rule is verified, but not replayed" --replay "$dir/r"

# Other transports, where the workers are processes of their own, asked for as much as is needed, and left out when they lie.
few="$small --workers=5 --adversaries=1 --steps=20 --attack=reverse --who=fixed"
over() { # TRANSPORT OPTION...: into the trail
    transport=$1
    shift
    rm -f "$dir/x"
    if [ "$transport" = mpi ]; then
        # shellcheck disable=SC2086
        timeout -k 3 60 mpirun -n 6 "$train" $few --transport=mpi --audit="$dir/x" "$@" >"$dir/out" 2>"$dir/err"
        return
    fi
    for i in 0 1 2 3 4; do
        # shellcheck disable=SC2086
        timeout 60 "$train" $few --transport=grpc --address="unix:$dir/socket" --role=worker --worker=$i "$@" >"$dir/worker" 2>&1 &
    done
    # shellcheck disable=SC2086
    timeout 60 "$train" $few --transport=grpc --address="unix:$dir/socket" --audit="$dir/x" "$@" >"$dir/out" 2>"$dir/err"
}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMP_NUM_THREADS=1
command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
for transport in grpc mpi; do
    case $transport in grpc) role=--role=worker ;; mpi) role="" ;; esac
    # shellcheck disable=SC2086
    if "$train" --transport=$transport $role 2>&1 | grep -q "built without" ||
        { [ $transport = mpi ] && ! command -v mpirun >/dev/null 2>&1; }; then
        result 0 "trails over $transport # SKIP not installed"
        continue
    fi
    for options in --code=cyclic "--redundancy=reactive --evict-after=3"; do
        # shellcheck disable=SC2086
        over $transport $options
        [ "$(grep -c '"event":"round".*"verdicts":"[^"]*B' "$dir/x")" -ge 3 ]
        result $? "$transport, $options: a trail in which the liar is blamed"
        audited 0 'replayed: 20 steps' "$transport, $options: replayed" --replay "$dir/x"
        sed '8s/"present":[0-9]*/"present":2/' "$dir/x" >"$dir/bad"
        audited 1 'line 9: it does not follow from the line before' "$transport, $options: a changed line is named" "$dir/bad"
    done
done
echo "1..$number"
