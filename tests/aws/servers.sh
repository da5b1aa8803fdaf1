#!/usr/bin/env bash
# Runs a command beside two servers of SNS and SQS on loopback, LocalStack and MiniStack, and stops them when it ends, however it ends.
# They are installed at pinned versions below the target folder where they are missing; that needs Python 3.13 or later and, once, the network.
#
#   tests/aws/servers.sh cargo test -p less-runtime --all-features
#   tests/aws/servers.sh sleep infinity        to try things out; it prints where they are
#
# The command gets LESS_TEST_LOCALSTACK and LESS_TEST_MINISTACK (URLs), and no way to a real account. Its exit status is this script's.
set -euo pipefail
[ $# -gt 0 ] || { printf 'error: nothing to run\nhint: tests/aws/servers.sh cargo test -p less-runtime --all-features\n' >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
target="${CARGO_TARGET_DIR:-$here/../../target}"
mkdir -p "$target/tools/aws"
tools=$(cd "$target/tools/aws" && pwd)
state=$(mktemp -d "${TMPDIR:-/tmp}/less-aws.XXXXXX")
# How long a server may take to answer. A cold start takes 5 seconds, a laden machine many times that.
patience=180

# Each job is a process group of its own, so that what it started is stopped with it.
set -m
servers=()
job=

gone() { ! kill -0 -- "-$1" 2>/dev/null; }

# Asks process groups to end, and ends those that have not after 5 seconds.
stop() {
    local group deadline=$((SECONDS + 5))
    for group; do kill -TERM -- "-$group" 2>/dev/null || true; done
    # What is stopped hears nothing.
    for group; do kill -CONT -- "-$group" 2>/dev/null || true; done
    for group; do
        until gone "$group" || [ $SECONDS -ge $deadline ]; do sleep 0.1; done
        kill -KILL -- "-$group" 2>/dev/null || true
        wait "$group" 2>/dev/null || true
    done
}

cleanup() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    [ -z "$job" ] || stop "$job"
    [ ${#servers[@]} -eq 0 ] || stop "${servers[@]}"
    rm -rf "$state"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs something that a signal to this script may interrupt: bash hears signals while it waits, not while a command is in the foreground.
interruptible() {
    local status=0
    "$@" </dev/null &
    job=$!
    wait "$job" || status=$?
    job=
    return "$status"
}

python=$(python3 "$here/../../less-cli/languages/python/tests/every_python.py" --find 3.13 3.14 | head -n 1)
[ -n "$python" ] || {
    printf 'error: the tests of the AWS transport need Python 3.13 or 3.14, and neither is on PATH nor in pyenv\nhint: pyenv install 3.13\n' >&2
    exit 1
}

# A virtual environment with exactly what a requirements file says.
install() {
    local name=$1 folder="$tools/$1" wanted
    wanted=$(cat "$here/$name.txt"; "$python" --version)
    if [ "$wanted" = "$(cat "$folder/installed" 2>/dev/null)" ]; then return; fi
    echo "installing $name (once)" >&2
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$here/$name.txt"
    "$folder/bin/python" -m pip check -q
    echo "$wanted" >"$folder/installed"
}

install_both() {
    # Two runs at once would write into each other's folders.
    exec 9>"$tools/lock"
    if command -v flock >/dev/null; then flock 9; fi
    install localstack
    install ministack
}

# Nothing outside may change what they do, and nothing here may reach a real account.
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(AWS|LOCALSTACK|MINISTACK)_' || true)
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
export no_proxy=$NO_PROXY

interruptible install_both

free_ports() {
    "$python" -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in held))'
}
read -r localstack ministack < <(free_ports)

# Starts a server in a folder of its own, which is also its home.
start() {
    local name=$1
    shift
    mkdir -p "$state/$name/tmp"
    # Their state is in memory alone, and what they keep on disk anyway is in the folder.
    (cd "$state/$name" && exec env HOME="$state/$name" TMPDIR="$state/$name/tmp" "$@") >"$state/$name.log" 2>&1 </dev/null &
    servers+=($!)
}
start localstack GATEWAY_LISTEN="127.0.0.1:$localstack" LOCALSTACK_HOST="127.0.0.1:$localstack" FILESYSTEM_ROOT="$state/localstack/files" \
    DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 DNS_ADDRESS=0 PYTHONDONTWRITEBYTECODE= "$tools/localstack/bin/python" "$here/on_loopback.py"
start ministack BIND_HOST=127.0.0.1 GATEWAY_PORT="$ministack" STATE_DIR="$state/ministack/files" PERSIST_STATE=0 "$tools/ministack/bin/ministack"

answers() {
    "$python" -c 'import sys, urllib.request; urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=2)' "$1" 2>/dev/null
}

# Waits until a server answers at an address; says what it printed where it does not.
ready() {
    local name=$1 group=$2 url=$3 deadline=$((SECONDS + patience)) why=
    until answers "$url"; do
        if gone "$group"; then
            why="it ended"
        elif [ $SECONDS -ge $deadline ]; then
            why="no answer in $patience s"
        fi
        if [ -n "$why" ]; then
            printf 'error: %s did not start: %s\n' "$name" "$why" >&2
            tail -n 30 "$state/$name.log" | sed "s/^/$name: /" >&2
            exit 1
        fi
        sleep 0.2
    done
}
ready localstack "${servers[0]}" "http://127.0.0.1:$localstack/_localstack/health"
ready ministack "${servers[1]}" "http://127.0.0.1:$ministack/_ministack/health"

export LESS_TEST_LOCALSTACK="http://127.0.0.1:$localstack" LESS_TEST_MINISTACK="http://127.0.0.1:$ministack"
# For the test that stops a server of its own.
export LESS_TEST_MINISTACK_PROGRAM="$tools/ministack/bin/ministack"
echo "LocalStack is at $LESS_TEST_LOCALSTACK, MiniStack at $LESS_TEST_MINISTACK" >&2
status=0
interruptible "$@" || status=$?
# Of a server that fell over, tests see no more than a refused connection.
for index in 0 1; do
    if gone "${servers[$index]}"; then
        name=$([ $index = 0 ] && echo localstack || echo ministack)
        printf 'error: %s ended while the command ran\n' "$name" >&2
        tail -n 30 "$state/$name.log" | sed "s/^/$name: /" >&2
        status=1
    fi
done
exit "$status"
