#!/usr/bin/env bash
# Measures subscribers in Node.js and Python beside their peers and the protocol's ceiling, and prints the tables. See README.md.
#
#   benches/workers/run.sh [N] [--rounds R] [--out FILE] [SYSTEM…]
#
#   N            messages of the backlog (default 100000); the first 1000 are not counted
#   --rounds R   medians of R rounds (default 3), each of which measures every system once
#   --out FILE   keep the single results, one JSON object a line
#   SYSTEM       only these; `--help` lists them
#
# BENCH_LESS=PROGRAM measures that `less` instead of building this repository's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

ALL=(
    node-echo node-worker node-less node-amqplib node-amqplib-64
    python-echo python-worker python-worker-async python-less python-less-async
    python-pika-blocking python-pika-select python-pika-select-64 python-aio-pika python-faststream
)
# As benches/peers/servers.sh wants it: where benches/peers/install.sh has put the servers.
home=$PWD/target/peers
driver=free_ports
own=${CARGO_TARGET_DIR:-$PWD/target}/workers
# No run of one system may take longer.
LONGEST=600
export BENCH_TOTAL=100000 BENCH_WARM_UP=1000 BENCH_SYSTEM BENCH_ROUND BENCH_AMQP BENCH_QUEUE=workers BENCH_GO BENCH_RESULT
rounds=3
out=
systems=()

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit "${3:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --out)
        [ $# -gt 1 ] || fail "\`$1\` needs a value" "\`benches/workers/run.sh --help\` shows the arguments"
        if [ "$1" = --rounds ]; then rounds=$2; else out=$2; fi
        shift
        ;;
    -h | --help)
        sed -n '2,11s/^# \{0,1\}//p' "$here/run.sh"
        printf '\nSystems: %s\n' "${ALL[*]}"
        exit 0
        ;;
    [0-9]*) BENCH_TOTAL=$1 ;;
    *)
        [[ " ${ALL[*]} " == *" $1 "* ]] || fail "unknown system \`$1\`" "there are ${ALL[*]}"
        systems+=("$1")
        ;;
    esac
    shift
done
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "\`--rounds $rounds\` is no number of rounds" "\`--rounds 3\`"
[[ $BENCH_TOTAL =~ ^[1-9][0-9]*$ && $BENCH_TOTAL -ge 2000 ]] || fail "\`$BENCH_TOTAL\` is no backlog" "2000 or more"
if [ ${#systems[@]} -eq 0 ]; then systems=("${ALL[@]}"); fi

# What servers.sh asks of its driver: `free-ports N`, N ports of the loopback interface that nobody listens on.
free_ports() {
    python3 - "$2" <<'END'
import socket, sys
# All at the same time, so that they differ.
listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
for listener in listeners:
    print(listener.getsockname()[1])
END
}

# shellcheck source=../peers/servers.sh
. "$here/../peers/servers.sh"
started=()
address=
pid=
measuring=
scratch=

# However this ends: nothing keeps running, nothing is left behind.
clean_up() {
    local status=$?
    trap - EXIT INT TERM
    # It is `timeout`, which passes that on, and kills 5 s later.
    if [ -n "$measuring" ]; then kill -TERM "$measuring" 2>/dev/null && wait "$measuring" 2>/dev/null || true; fi
    stop_all
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$here/install.sh" "$own"
export NODE_PATH=$own/node/node_modules
python=$own/python/bin/python

# Neither the user's settings nor another target folder may change what is measured.
unset LESS_LISTEN LESS_DATA LESS_STAGE LESS_URL LESS_API_KEY LESS_LOG LESS_DRAIN LESS_RUNTIME_PATH LESS LESS_DEV LESS_NODE LESS_PYTHON PYTHONPATH
less=${BENCH_LESS:-${CARGO_TARGET_DIR:-$PWD/target}/release/less}
if [[ " ${systems[*]} " =~ -(less|worker)(-async)?\  ]] && [ -z "${BENCH_LESS:-}" ]; then
    echo "building" >&2
    cargo build --locked -q --release -p less-cli
fi

# Under the target folder, so that the data lies on the repository's file system; a tmpfs would make every sync free.
scratch=$(mktemp -d "$own/run.XXXXXX")
kind=$(df --output=fstype "$scratch" | tail -n 1)
if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
    fail "$own lies on $kind, where a sync costs nothing" "set CARGO_TARGET_DIR to a folder on a disk" 2
fi
if [ -z "$out" ]; then out=$scratch/results.jsonl; fi
: >"$out"
out=$(realpath "$out")

# Runs what measures, or prepares: it can be interrupted, and ended with the rest.
run() {
    timeout -k 5 "$LONGEST" "$@" </dev/null &
    measuring=$!
    local status=0
    wait "$measuring" || status=$?
    measuring=
    return "$status"
}

peer() {
    local folder=$1
    shift
    start_rabbitmq "$folder"
    wait_for "$address" "$folder/log"
    BENCH_AMQP=amqp://guest:guest@$address/
    run node "$here/peers/backlog.js" fill
    run "$@" >>"$out"
    run node "$here/peers/backlog.js" check
}

# An app without Rust, as a user has it: a copy of its sources, so that nothing is generated into the repository.
app() {
    mkdir "$1/app"
    cp -r "$here/app/less.toml" "$here/app/less" "$1/app"
    BENCH_GO=$1/go
    BENCH_RESULT=$1/result
}

less_app() {
    local folder=$1 topic=$2 port
    app "$folder"
    port=$(free_ports free-ports 1)
    address=127.0.0.1:$port
    launch "$folder/log" env -u NODE_PATH -C "$folder/app" "$less" start --listen "$address" --data "$folder/data"
    wait_for "$address" "$folder/log"
    run python3 "$here/driver/less_run.py" "$address" "$topic" "$BENCH_GO" "$BENCH_RESULT" >>"$out"
}

# The worker as less-model/src/language.rs has it started.
worker() {
    local folder=$1 topic=$2 file=$3
    shift 3
    app "$folder"
    : >"$BENCH_GO"
    run env -C "$folder/app" "$less" build >"$folder/log" 2>&1
    # Set for the worker alone; it is what the table of languages has for Node.js.
    NODE_PATH=$folder/app/.less/node_modules:$folder/app/less/shared \
        player --root "$folder/app" --topic "$topic" --file "less/topics/$topic/count/$file" "$@"
    if [ ! -e "$BENCH_RESULT" ]; then
        echo "error: the worker has answered more messages than its handler has counted" >&2
        return 2
    fi
}

# One system runs at a time, on an empty folder.
turn() {
    local folder=$scratch/$BENCH_SYSTEM
    local node_worker=(node --enable-source-maps .less/node_modules/@chuva.io/less/worker.mjs)
    local python_worker=(python3 -u .less/python/less_worker.py)
    mkdir "$folder"
    # What the one before has left unwritten is not this one's to write.
    sync
    echo "round $BENCH_ROUND of $rounds: $BENCH_SYSTEM" >&2
    case $BENCH_SYSTEM in
    node-echo) player node "$here/ceiling/echo.mjs" ;;
    python-echo) player python3 "$here/ceiling/echo.py" ;;
    node-worker) worker "$folder" node index.js "${node_worker[@]}" ;;
    python-worker) worker "$folder" python __init__.py "${python_worker[@]}" ;;
    python-worker-async) worker "$folder" python_async __init__.py "${python_worker[@]}" ;;
    node-less) less_app "$folder" node ;;
    python-less) less_app "$folder" python ;;
    python-less-async) less_app "$folder" python_async ;;
    node-amqplib) peer "$folder" node "$here/peers/with_amqplib.js" ;;
    node-amqplib-64) peer "$folder" node "$here/peers/with_amqplib.js" 64 ;;
    python-pika-blocking) peer "$folder" "$python" "$here/peers/with_pika_blocking.py" ;;
    python-pika-select) peer "$folder" "$python" "$here/peers/with_pika_select.py" ;;
    python-pika-select-64) peer "$folder" "$python" "$here/peers/with_pika_select.py" 64 ;;
    python-aio-pika) peer "$folder" "$python" "$here/peers/with_aio_pika.py" ;;
    python-faststream) peer "$folder" "$python" "$here/peers/with_faststream.py" ;;
    esac
    stop_all
    rm -rf "$folder"
}

# Plays the app to a worker. It takes so little time for a message that the run would be a blink without more of them.
player() {
    BENCH_TOTAL=$((BENCH_TOTAL * 5)) run python3 "$here/ceiling/player.py" "$@" >>"$out"
}

# What a server has said, where its system could not be measured. Runs in the trap of the shell, because `set -e` ends the run.
explain() {
    tail -n 20 "$scratch/$BENCH_SYSTEM"/*log >&2 2>/dev/null || true
    echo "error: \`$BENCH_SYSTEM\` could not be measured" >&2
}
trap explain ERR
set -E

for ((BENCH_ROUND = 1; BENCH_ROUND <= rounds; BENCH_ROUND++)); do
    for ((index = 0; index < ${#systems[@]}; index++)); do
        # There and back, so that a machine that gets slower does so for all.
        if ((BENCH_ROUND % 2)); then BENCH_SYSTEM=${systems[index]}; else BENCH_SYSTEM=${systems[${#systems[@]} - 1 - index]}; fi
        turn
    done
done
trap - ERR

rabbitmq=$(echo "$home"/root/usr/lib/rabbitmq/lib/rabbitmq_server-*)
erlang=$(cat "$home"/root/usr/lib/erlang/releases/*/OTP_VERSION)
amqplib=$(node -p 'require(process.argv[1]).version' "$NODE_PATH/amqplib/package.json")
clients=$(grep -E '^(pika|aio-pika|faststream)=' "$here/requirements.txt" | sed 's/==/ /' | paste -sd , | sed 's/,/, /g')
less_version=$(git describe --always --dirty 2>/dev/null || echo without git)
if [ -n "${BENCH_LESS:-}" ]; then less_version=$BENCH_LESS; fi
python3 "$here/driver/report.py" "$out" "$kind" \
    "Less $less_version, RabbitMQ ${rabbitmq##*-} on Erlang $erlang, amqplib $amqplib, $clients"
