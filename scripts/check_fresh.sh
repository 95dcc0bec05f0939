#!/bin/sh
# Try the two commands of the README where nothing was installed by hand: check_fresh.sh BUILD [short]
#
# An empty Debian 12 is made from this machine's own package source, with make as the only addition. A clean clone of
# this repository's HEAD is put into it, and `make demo` and `make check` are run there (short: `make check SHORT=1`).
# Needs root and some 5 GB in /var/tmp. All processes and mounts live in namespaces that end with this script, however
# it ends; the tree is removed unless that is by SIGKILL. BUILD/fresh.log gets everything. The last line is
# 'N passed, N failed'; where this cannot be tried at all it is '0 passed, 0 failed, 1 skipped', with the reason above.
set -u
build=${1:?usage: check_fresh.sh BUILD [short]}
short=${2:-}
suite=bookworm
mkdir -p "$build"
log=$(cd "$build" && pwd)/fresh.log
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0

say() { echo "$*" | tee -a "$log"; }

end() {
    [ "$skipped" -eq 0 ] && more="" || more=", $skipped skipped"
    say "$passed passed, $failed failed$more"
    exit $((failed > 0))
}

skip() {
    say "ok - the commands of the README on an empty Debian 12 # SKIP $1"
    skipped=1
    end
}

: >"$log"
[ "$(id -u)" -eq 0 ] || skip "not root"
unshare --mount --pid --fork true 2>/dev/null || skip "no namespaces here"
for tool in mmdebstrap git; do command -v $tool >/dev/null 2>&1 || skip "$tool is missing"; done
apt-get update -qq --error-on=any >>"$log" 2>&1 || skip "the package source cannot be reached"

work=$(mktemp -d /var/tmp/draco-fresh.XXXXXX) || exit 1
tree=$work/tree
child=""
clean() {
    [ -z "$child" ] || kill -KILL "$child"
    rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# A command in namespaces of its own, its output on the screen, in $work/out and in the log. The shell waits for
# background processes only, because only so it hears a signal at once.
run() {
    : >"$work/out"
    setpriv --pdeathsig KILL unshare --mount --pid --fork --mount-proc --kill-child "$@" >"$work/out" 2>&1 </dev/null &
    child=$!
    tail -n +1 -f --pid="$child" "$work/out" | tee -a "$log" &
    wait "$child"
    code=$?
    child=""
    wait
    return $code
}

packages() { chroot "$tree" dpkg-query -W -f '${Installed-Size} ${Package}\n' | sort; }

# The machine's own source, in the words of apt: one line for each archive of Debian 12.
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    grep -E "^deb [^ ]+ $suite(-security|-updates)? " | sort -u >"$work/sources"
apt-config dump | grep -iE '^Acquire::([^ ]*Proxy[^ ]*|Check-[^ ]*|Retries) ' >"$work/options"
[ -s "$work/sources" ] || skip "no Debian 12 in this machine's package source"

begin=$(date +%s)
run mmdebstrap --quiet --mode=root --variant=minbase --include=make --aptopt="$work/options" "$suite" "$tree" "$work/sources" &&
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf" &&
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' git clone -q --no-hardlinks . "$tree/root/draco" || {
    say "not ok - an empty Debian 12"
    failed=1
    end
}
packages >"$work/before"
say "an empty Debian 12 and make: $(wc -l <"$work/before") packages, $(($(date +%s) - begin)) s"

cat >"$work/enter" <<'END'
mount -t proc proc "$1/proc" && mount -t sysfs -o ro sysfs "$1/sys" && mount --rbind /dev "$1/dev" &&
    mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" || exit 1
tree=$1
shift
exec chroot "$tree" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb http_proxy="${http_proxy:-}" \
    https_proxy="${https_proxy:-}" sh -c 'cd /root/draco && exec "$@"' sh "$@"
END

for command in "make demo" "make check${short:+ SHORT=1}"; do
    say "== $command"
    begin=$(date +%s)
    # shellcheck disable=SC2086
    if run sh "$work/enter" "$tree" $command; then word=ok passed=$((passed + 1)); else word="not ok" failed=$((failed + 1)); fi
    # shellcheck disable=SC2046
    set -- $(grep -E '^[0-9]+ passed, [0-9]+ failed' "$work/out" | tail -n 1 | tr -dc '0-9 ')
    passed=$((passed + ${1:-0})) failed=$((failed + ${2:-0})) skipped=$((skipped + ${3:-0}))
    packages >"$work/after"
    say "$word - $command on an empty Debian 12: $(($(date +%s) - begin)) s, installed" \
        "$(comm -13 "$work/before" "$work/after" | awk '{ kb += $1 } END { printf "%d packages, %.0f MB", NR, kb / 1024 }')"
    mv "$work/after" "$work/before"
done
end
