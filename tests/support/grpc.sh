# Sourced by the tests that start processes of draco-train over gRPC: their folder, their end, and when to skip.
BUILD=${BUILD:-build}
train=$BUILD/draco-train
dir=$(mktemp -d /tmp/draco-grpc-XXXXXX)
pids=""
trap 'kill -9 $pids 2>/dev/null; rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
if $train --transport=grpc --role=worker 2>&1 | grep -q "built without"; then
    echo "ok 1 - draco-train over gRPC # SKIP built without gRPC"
    exit 0
fi
