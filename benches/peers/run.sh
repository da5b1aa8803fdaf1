#!/usr/bin/env bash
# Measures Less beside RabbitMQ, NATS JetStream and Redis Streams on this machine, and prints the tables. See README.md.
#
#   benches/peers/run.sh [--quick] [--rounds N] [--out FILE] [SYSTEM…]
#
#   --quick      one round of short runs: shows that everything works, its figures mean little
#   --rounds N   medians of N rounds (default 3), each of which measures every system once
#   --out FILE   keep the single results, one JSON object a line
#   SYSTEM       only these: less rabbitmq-classic rabbitmq-quorum jetstream-default jetstream-always redis-everysec redis-always bare
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

ALL=(bare less redis-always redis-everysec jetstream-always jetstream-default rabbitmq-quorum rabbitmq-classic)
home=$PWD/target/peers
# Where the unpacked packages find each other's libraries.
libraries=$home/root/usr/lib/$(uname -m)-linux-gnu
driver=$home/driver/release/peers
quick=()
rounds=
out=
systems=()

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=(--quick) ;;
    --rounds | --out)
        [ $# -gt 1 ] || fail "\`$1\` needs a value" "\`sed -n 2,10p benches/peers/run.sh\` shows the arguments"
        if [ "$1" = --rounds ]; then rounds=$2; else out=$2; fi
        shift
        ;;
    -h | --help)
        sed -n '2,9s/^# \{0,1\}//p' "$here/run.sh"
        exit 0
        ;;
    *)
        [[ " ${ALL[*]} " == *" $1 "* ]] || fail "unknown system \`$1\`" "there are ${ALL[*]}"
        systems+=("$1")
        ;;
    esac
    shift
done
if [ -z "$rounds" ]; then rounds=$([ ${#quick[@]} -gt 0 ] && echo 1 || echo 3); fi
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "\`--rounds $rounds\` is no number of rounds" "\`--rounds 3\`"
if [ ${#systems[@]} -eq 0 ]; then systems=("${ALL[@]}"); fi

# shellcheck source=servers.sh
. "$here/servers.sh"
started=()
address=
pid=
measuring=
scratch=

# However this ends: nothing keeps running, nothing is left behind.
clean_up() {
    local status=$?
    trap - EXIT INT TERM
    if [ -n "$measuring" ]; then kill -KILL "$measuring" 2>/dev/null && wait "$measuring" 2>/dev/null || true; fi
    stop_all
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$here/install.sh"

echo "building" >&2
# Neither the user's settings nor another target folder may change what is measured.
unset LESS_LISTEN LESS_DATA LESS_STAGE LESS_URL LESS_API_KEY LESS_LOG LESS_DRAIN LESS_RUNTIME_PATH LESS LESS_DEV
CARGO_TARGET_DIR=$PWD/target cargo build --locked -q --release -p less-cli
CARGO_TARGET_DIR=$home/driver cargo build --locked -q --release --manifest-path "$here/Cargo.toml"
# With the dependencies that the project is tested with.
cp Cargo.lock "$here/app/Cargo.lock"
(cd "$here/app" && CARGO_TARGET_DIR=$home/app "$OLDPWD/target/release/less" build --release)

# Under target/, so that the data lies on the repository's file system; a tmpfs would make every sync free.
scratch=$(mktemp -d "$home/run.XXXXXX")
kind=$(df --output=fstype "$scratch" | tail -n 1)
if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
    echo "error: $home lies on $kind, where a sync costs nothing" >&2
    echo "hint: clone the repository to a disk" >&2
    exit 2
fi
if [ -z "$out" ]; then out=$scratch/results.jsonl; fi
: >"$out"
out=$(realpath "$out")
ulimit -n 65536 2>/dev/null || true

# One system runs at a time, on an empty folder.
turn() {
    local system=$1 round=$2 folder=$scratch/$1 arguments=()
    mkdir "$folder"
    # What the one before has left unwritten is not this one's to write.
    sync
    case $system in
    bare) ;;
    less) start_less "$folder" ;;
    redis-*) start_redis "$folder" "${system#redis-}" ;;
    jetstream-*) start_jetstream "$folder" "${system#jetstream-}" ;;
    rabbitmq-*) start_rabbitmq "$folder" ;;
    esac
    if [ "$system" != bare ]; then
        wait_for "$address" "$folder/log"
        arguments=(--address "$address" --pid "$pid")
    fi
    echo "round $round of $rounds: $system" >&2
    "$driver" measure "$system" --round "$round" --out "$out" --scratch "$folder" "${quick[@]}" "${arguments[@]}" &
    measuring=$!
    if ! wait "$measuring"; then
        measuring=
        tail -n 20 "$folder"/*log >&2 || true
        echo "error: \`$system\` could not be measured" >&2
        exit 2
    fi
    measuring=
    stop_all
    rm -rf "$folder"
}

for ((round = 1; round <= rounds; round++)); do
    for ((index = 0; index < ${#systems[@]}; index++)); do
        # There and back, so that a machine that gets slower does so for all.
        if ((round % 2)); then turn "${systems[index]}" "$round"; else turn "${systems[${#systems[@]} - 1 - index]}" "$round"; fi
    done
done

rabbitmq=$(echo "$home"/root/usr/lib/rabbitmq/lib/rabbitmq_server-*)
erlang=$(cat "$home"/root/usr/lib/erlang/releases/*/OTP_VERSION)
nats=$("$home/nats/bin/nats-server" --version)
redis=$(LD_LIBRARY_PATH=$libraries "$home/root/usr/bin/redis-server" --version | grep -o 'v=[0-9.]*')
less=$(git describe --always --dirty 2>/dev/null || echo without git)
"$driver" report "$out" "$kind" \
    "Less $less, RabbitMQ ${rabbitmq##*-} on Erlang $erlang, NATS ${nats##*v}, Redis ${redis#v=}, $(rustc --version)"
