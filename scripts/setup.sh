#!/bin/sh
# Install the Debian packages that a target needs and that are missing:
# setup.sh deps|demo|paper|check|short|fresh|analyze|coverage
# With root or sudo it says what it installs and by which command, and does so; otherwise it says what to install.
# What the project can do without is not an error.
set -u
build="gcc make libc6-dev zlib1g-dev pkg-config"
transports="openmpi-bin libopenmpi-dev libgrpc-dev libmicrohttpd-dev"
data="dataset-fashion-mnist"
tests="g++ clang patch cmake libclang-rt-14-dev libomp-dev libcmocka-dev openssl python3-grpcio python3-grpc-tools
    python3-numpy valgrind"
portability="gcc-i686-linux-gnu gcc-aarch64-linux-gnu gcc-s390x-linux-gnu qemu-user mingw-w64 musl-tools clang-format
    libc6-dev-arm64-cross libc6-dev-i386-cross libc6-dev-s390x-cross"
page="lld wasi-libc libclang-rt-14-dev-wasm32 chromium chromium-driver"
optional="$data libmicrohttpd-dev"
case ${1:-} in
    deps) wanted="$build $transports" ;;
    demo) wanted="$build $data" ;;
    paper) wanted="$build python3 $data" ;;
    check) wanted="$build $transports $tests $data $portability $page"; optional="$data libmicrohttpd-dev $portability $page" ;;
    short) wanted="$build $transports $tests $data" ;;
    fresh) wanted="git mmdebstrap"; optional=$wanted ;;
    analyze) wanted="$build $transports clang-tidy clang-format cppcheck" ;;
    coverage) wanted="$build $transports libcmocka-dev gcovr $data" ;;
    *) echo "usage: setup.sh deps|demo|paper|check|short|fresh|analyze|coverage" >&2; exit 2 ;;
esac

missing() {
    for package in $wanted; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf ' %s' "$package"
    done
}

missing=$(missing)
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends"
if [ "$(id -u)" -ne 0 ]; then
    install="sudo $install"
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null || install=""
fi
if [ -n "$install" ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing what is missing: $install$missing"
    export DEBIAN_FRONTEND=noninteractive
    ${install%%install*}update -qq >/dev/null || true
    # One package that cannot be had must not keep the others away.
    # shellcheck disable=SC2086
    $install -qq $missing >/dev/null || for package in $missing; do $install -qq "$package" >/dev/null 2>&1; done
fi

needed=""
for package in $(missing); do
    case " $(echo $optional) " in
        *" $package "*) echo "without $package: going on" >&2 ;;
        *) needed="$needed $package" ;;
    esac
done
[ -z "$needed" ] || { echo "please install as root: apt-get install --no-install-recommends$needed" >&2; exit 1; }
