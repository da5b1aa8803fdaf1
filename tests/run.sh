#!/usr/bin/env bash
# Every check of the project: format, lints, docs, each feature alone, licences and bans, unit, conformance, golden and end-to-end tests, deliberate
# bugs that must be found, injected faults, fuzzing.
# Needs Rust (with rustfmt and clippy), Node.js with npm, Python (3.13 or later for the servers that stand in for AWS), and a C and C++ compiler; installs
# the rest at pinned versions under target/.
#
#   tests/run.sh            everything
#   tests/run.sh STEP…      only these steps (their names are printed as they run)
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# One target folder for the workspace; the user projects that tests build share another below it.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
# What npm and pip fetch stays below it.
export npm_config_cache="$CARGO_TARGET_DIR/caches/npm" PIP_CACHE_DIR="$CARGO_TARGET_DIR/caches/pip" PIP_DISABLE_PIP_VERSION_CHECK=1
# Nothing is compiled again after a change in a clean clone: what that takes is not kept there.
[ -d "$CARGO_TARGET_DIR/debug" ] || export CARGO_INCREMENTAL=0
# Nothing outside may change what the tests see.
unset LESS_LISTEN LESS_DATA LESS_STAGE LESS_URL LESS_API_KEY LESS_LOG LESS_DRAIN LESS_RUNTIME_PATH LESS_NODE LESS_PYTHON LESS NODE_OPTIONS NODE_PATH PYTHONPATH
# Nor may a test reach somebody's account.
while read -r name; do unset "$name"; done < <(compgen -e | grep '^AWS_' || true)
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true

wanted=("$@")
is_wanted() {
    [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]]
}
step() {
    local name=$1
    shift
    is_wanted "$name" || return 0
    local began=$SECONDS
    echo "==> $name"
    "$@"
    echo "<== $name ($((SECONDS - began)) s)"
}

features() {
    cargo check --locked -q -p less-model
    cargo check --locked -q -p less-model --features parse
    cargo check --locked -q -p less-runtime --no-default-features
    for feature in embedded aws deploy tls schema conformance mutants; do
        cargo check --locked -q -p less-runtime --no-default-features --features "$feature"
    done
}

# Programs of their own beside the workspace, with locks of their own, which must stay in step.
apart=(benches/peers benches/stores fuzz)

format() {
    cargo fmt --all --check
    for folder in "${apart[@]}"; do cargo fmt --manifest-path "$folder/Cargo.toml" --all --check; done
}

locks() {
    for folder in "${apart[@]}"; do
        cargo metadata --locked --format-version 1 --manifest-path "$folder/Cargo.toml" >/dev/null
    done
}

# What this machine can't show is not claimed: exit code 3.
unproven=
claims() {
    local status=0
    "$@" || status=$?
    [ "$status" -ne 3 ] || { unproven=1; return 0; }
    return "$status"
}

# Work that goes on beside the steps until its own comes, which shows what it printed.
logs=$(mktemp -d)
declare -A beside=()
# Each is a process group of its own, so that what it started ends with it.
stop_beside() {
    local group
    for group in "${beside[@]}"; do kill -- "-$group" 2>/dev/null || true; done
    rm -rf "$logs"
}
trap stop_beside EXIT
begin() {
    local name=$1
    shift
    is_wanted "$name" || return 0
    set -m
    "$@" >"$logs/$name.beside" 2>&1 </dev/null &
    beside[$name]=$!
    set +m
}
finish() {
    local status=0
    wait "${beside[$1]}" || status=$?
    unset "beside[$1]"
    cat "$logs/$1.beside"
    return "$status"
}

# The packages for Node.js and Python by themselves: with the Node.js that is here, and with the oldest, the usual and the newest Python. Side by side,
# as they wait more than they work.
languages() {
    local tests=less-cli/languages/python program version failed=0 missing=0 name
    local -A running=()
    trap 'kill "${running[@]}" 2>/dev/null || true' EXIT
    (cd less-cli/languages/node && node --test test/*.test.mjs) >"$logs/node" 2>&1 &
    running[node]=$!
    python3 -m unittest discover -s $tests/tests -t $tests >"$logs/python" 2>&1 &
    running[python]=$!
    for version in 3.9 3.13; do
        program=$(python3 $tests/tests/every_python.py --find $version)
        if [ -z "$program" ]; then
            echo "Python $version is not on this machine: this run does not claim it"
            missing=3
        else
            "$program" -m unittest discover -s $tests/tests -t $tests >"$logs/python$version" 2>&1 &
            running[python$version]=$!
        fi
    done
    for name in "${!running[@]}"; do
        wait "${running[$name]}" || { failed=1; echo "error: the tests of $name failed"; }
        cat "$logs/$name"
    done
    [ "$failed" -eq 0 ] || return 1
    return "$missing"
}

fuzz() {
    finish fuzz
    tests/fuzz.sh 8
}

begin languages languages
step format format
step locks locks
step clippy cargo clippy --locked -q --workspace --all-features --all-targets -- -D warnings
# Built beside steps that keep one processor busy, or wait.
begin deny nice -n 19 tests/deny.sh
step features features
step docs env RUSTDOCFLAGS="-D warnings" cargo doc --locked -q --workspace --all-features --no-deps
step languages claims finish languages
step build tests/build.sh
step types tests/types.sh
step exports tests/exports.sh
step deny finish deny
begin fuzz nice -n 19 tests/fuzz.sh build
step test tests/aws/servers.sh tests/suites.sh
step mutants tests/mutants.sh
step faults claims tests/faults.sh
step fuzz fuzz
[ -z "$unproven" ] || echo "something was not shown here, see above: this run does not claim it"
echo "all steps passed in $SECONDS s"
