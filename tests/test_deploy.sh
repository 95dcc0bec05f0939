#!/bin/sh
# The files for running Draco as a service are whole, and certificates are added and renewed without touching the others.
build=${BUILD:-build}
deploy=examples/deploy
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/support/tap.sh"
explain() { cat "$dir/wrong"; }

# Every option of a line that runs draco-train is one of its own.
"$build/draco-train" --help | grep -oE '^  --[a-z0-9-]+' | tr -d ' ' | sort -u >"$dir/known"
for file in "$deploy"/draco.conf "$deploy"/*.service "$deploy"/kubernetes*.yaml "$deploy"/draco.sbatch; do
    grep -v '^#' "$file" | grep -oE -- ' "?--[a-z0-9-]+' | tr -d ' "' | grep -v -x -F -e --mpi -e --kill-on-bad-exit -e --cpus-per-task |
        sort -u >"$dir/options"
    [ -s "$dir/options" ] && ! comm -23 "$dir/options" "$dir/known" | grep . >"$dir/wrong"
    result $? "$file: draco-train has its $(wc -l <"$dir/options") options"
done

# The units, with the program and its manual where they will be.
if command -v systemd-analyze >/dev/null 2>&1; then
    mkdir -p "$dir/units"
    for unit in "$deploy"/*.service; do
        sed -e "s|/usr/bin/draco-train|$(readlink -f "$build")/draco-train|" -e '/^Documentation/d' "$unit" >"$dir/units/${unit##*/}"
    done
    systemd-analyze verify "$dir/units/draco-server.service" "$dir/units/draco-worker@7.service" >"$dir/wrong" 2>&1 &&
        [ ! -s "$dir/wrong" ]
    result $? "systemd finds nothing wrong with the units"
else
    result 0 "systemd finds nothing wrong with the units # SKIP no systemd-analyze"
fi

sh -n "$deploy/draco.sbatch" 2>"$dir/wrong"
result $? "the batch script is a script"

if command -v openssl >/dev/null 2>&1; then
    ca=$dir/certificates
    sh scripts/make_test_ca.sh "$ca" 2 >"$dir/wrong" 2>&1 && (cd "$ca" && sha256sum ./*.pem ./*.key) >"$dir/before" &&
        RENEW=worker-1 sh scripts/make_test_ca.sh "$ca" 3 >"$dir/made" 2>&1
    result $? "certificates are made, added and renewed"
    (cd "$ca" && sha256sum -c "$dir/before" 2>/dev/null) | sed -n 's/: FAILED$//p' >"$dir/wrong"
    [ "$(tr '\n' ' ' <"$dir/wrong")" = "./worker-1.pem ./worker-1.key " ]
    result $? "only the named one is made anew"
    openssl verify -CAfile "$ca/ca.pem" "$ca/worker-1.pem" "$ca/worker-2.pem" >"$dir/wrong" 2>&1
    result $? "the new ones are of the same authority"
    git init -q "$dir/tree" && cp -r "$ca" "$dir/tree/certificates" && git -C "$dir/tree" status --short >"$dir/wrong" && [ ! -s "$dir/wrong" ]
    result $? "git does not see the keys"
else
    result 0 "certificates are made, added and renewed # SKIP no openssl"
fi
echo "1..$number"
