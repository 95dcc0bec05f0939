#!/bin/sh
# Install the Debian packages that a target needs and that are missing: setup.sh demo|paper|check
# With root or sudo it installs them; otherwise it names them. What the project can do without is not an error.
set -u
build="gcc make libc6-dev libdnnl-dev zlib1g-dev libsodium-dev pkg-config"
paper="python3 dataset-fashion-mnist gnuplot-nox"
demo="dataset-fashion-mnist gnuplot-nox"
check="g++ clang patch libclang-rt-14-dev libomp-dev libcmocka-dev dataset-fashion-mnist openmpi-bin libopenmpi-dev libgrpc-dev openssl python3-grpcio python3-grpc-tools python3-numpy valgrind"
portable="gcc-i686-linux-gnu gcc-aarch64-linux-gnu gcc-s390x-linux-gnu qemu-user mingw-w64 musl-tools"
case ${1:-} in
    demo) wanted="$build $demo"; optional=$demo ;;
    paper) wanted="$build $paper"; optional="dataset-fashion-mnist gnuplot-nox" ;;
    check) wanted="$build $check $portable"; optional=$portable ;;
    *) echo "usage: setup.sh demo|paper|check" >&2; exit 2 ;;
esac

missing=""
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    root="sudo"
else
    root="none"
fi
if [ "$root" != none ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    $root apt-get update -qq || true
    # shellcheck disable=SC2086
    if DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
        exit 0
    fi
    # One package that cannot be had must not keep the others away.
    for package in $missing; do
        DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
            echo "could not install $package" >&2
    done
fi

needed=""
for package in $missing; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' && continue
    case " $optional " in
        *" $package "*) echo "without $package: going on" >&2 ;;
        *) needed="$needed $package" ;;
    esac
done
if [ -n "$needed" ]; then
    echo "please install as root: apt-get install$needed" >&2
    exit 1
fi
