#!/bin/sh
# A long run with liars, stragglers, killed workers and such that come back, within what the code carries, over gRPC and over
# MPI: the model has the bytes of the run without faults, the ledger equals the faults, the server's memory is flat.
# DRACO_SOAK: rounds; DRACO_SOAK_SEED: of the faults, in the short form one that draws each kind once or twice.
BUILD=${BUILD:-build}
rounds=200 seed=${DRACO_SOAK_SEED:-157}
[ "${DRACO_STRESS:-}" != full ] || rounds=10000 seed=${DRACO_SOAK_SEED:-$(date +%s)}
number=0
for transport in grpc mpi; do
    case $transport in grpc) role=--role=worker ;; mpi) role="" ;; esac
    # shellcheck disable=SC2086
    if "$BUILD/draco-train" --transport=$transport $role 2>&1 | grep -q "built without" ||
        { [ $transport = mpi ] && ! command -v mpirun >/dev/null 2>&1; }; then
        number=$((number + 1))
        echo "ok $number - $transport # SKIP not installed"
        continue
    fi
    python3 -B tests/support/soak.py "$BUILD" $transport "${DRACO_SOAK:-$rounds}" "$seed" "$number" || exit 1
    number=$((number + 6))
done
echo "1..$number"
