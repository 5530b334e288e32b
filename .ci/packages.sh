# SPDX-License-Identifier: Apache-2.0
# Sourced by ./run and ./check: what Debian 12 calls the things needed, and how to get them.

packages_build=(
    esbuild gcc libc6-dev meson ninja-build pkg-config
    libcmocka-dev libcurl4-openssl-dev libgnutls28-dev libjansson-dev liblmdb-dev
    libmicrohttpd-dev librdkafka-dev
    libpaho-mqtt-dev libssl-dev libuv1-dev libyaml-dev zlib1g-dev
)
packages_test=(
    caddy chromium chromium-driver clang-14 clang-format-14 curl debootstrap docker-compose git
    iproute2 libclang-rt-14-dev llvm-14 maven mosquitto-clients nginx openjdk-17-jre-headless
    openssl procps prometheus python3 python3-aiohttp python3-confluent-kafka python3-cryptography
    python3-jsonschema python3-jwt python3-paho-mqtt python3-pip python3-pytest python3-pytest-xdist
    python3-selenium python3-websockets python3-yaml
)
# An engine that is there is used: Debian's package would put another vendor's out.
if ! command -v dockerd >/dev/null && ! docker version >/dev/null 2>&1; then
    packages_test+=(docker.io)
fi

# Other servers that a load is pointed at; tests of their protocols are skipped where they are
# missing. Debian starts them when it installs them, and again at each boot, on ports that a broker
# would want (Mosquitto on 1883): so they come by themselves only where nothing would start them, as
# in a container.
packages_peers=(libnginx-mod-nchan mosquitto nats-server redis-server)
if [ ! -d /run/systemd/system ] && ! runlevel >/dev/null 2>&1; then
    packages_test+=("${packages_peers[@]}")
fi

# Where Node is not Debian's own, npm came with it.
command -v npm >/dev/null || packages_test+=(nodejs npm)

# Installs those of the given packages that are missing; says which, and what to do where it cannot.
packages_install() {
    local package missing=() as_root=()
    for package in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    echo "Missing Debian packages: ${missing[*]}" >&2
    if ! command -v apt-get >/dev/null; then
        echo "No Debian system: install their counterparts by hand, then run this again." >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Neither root nor sudo here. As root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing them." >&2
    # Another apt may be at work on a machine that has just started, and a mirror may falter.
    local options=(-qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    for _ in 1 2 3; do
        "${as_root[@]}" apt-get "${options[@]}" update >&2 ||
            echo "apt-get update failed; trying all the same." >&2
        if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get "${options[@]}" install -y --no-install-recommends "${missing[@]}" >&2; then
            return 0
        fi
        sleep 5
    done
    return 1
}
