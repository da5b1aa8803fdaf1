#!/usr/bin/env bash
# Fuzzes what reads bytes of others: the log's records, HTTP, toml files, names. Each target runs for a bounded time, from the inputs of fuzz/seeds/.
# Needs Rust (the stable one) and a C++ compiler for libFuzzer; no cargo-fuzz, no sanitizer: the code has no `unsafe`, and debug assertions are on.
#
#   tests/fuzz.sh                        every target, 10 seconds each
#   tests/fuzz.sh SECONDS [TARGET...]    these targets, so long
#   tests/fuzz.sh build                  builds them, and runs none
#
# Prints how often each ran. Fails where one crashes, and says where the input is; nothing is written into the tree but below the target folder.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

fail() {
    echo "error: $1" >&2
    exit "${2:-2}"
}

all=(record replay http toml names)
seconds=${1:-10}
build_only=
[ "$seconds" != build ] || { build_only=1; seconds=1; }
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "\`$seconds\` is no number of seconds
hint: tests/fuzz.sh 10 record"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
    [[ " ${all[*]} " == *" $target "* ]] || fail "there is no target \`$target\`
hint: targets are ${all[*]}"
done
if ! command -v "${CXX:-c++}" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends g++; } >/dev/null 2>&1 || true
fi
command -v "${CXX:-c++}" >/dev/null || fail "libFuzzer needs a C++ compiler
hint: apt-get install g++"

# Nothing outside may change what the targets see.
unset LESS_LISTEN LESS_DATA LESS_STAGE LESS_URL LESS_API_KEY LESS_LOG LESS_DRAIN LESS_RUNTIME_PATH LESS LESS_MUTANT
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# Of its own: the flags differ from everything else's.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/../target}/fuzz"
host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes without a sanitizer. All of it is stable. `--target` keeps it from build scripts and macros, which have no libFuzzer.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
build=(cargo build --locked --quiet --release --target "$host" --bins)
# In this process's place, so that who ends it ends that.
[ -z "$build_only" ] || exec "${build[@]}"
"${build[@]}"

work=$(mktemp -d "${TMPDIR:-/tmp}/less-fuzz.XXXXXX")
# Kept where something crashed: the inputs are in it.
crashed=0
child=
clean() {
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    [ "$crashed" -gt 0 ] || rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# One line per target: the state of the corpus is kept away from the tree.
run() {
    local target=$1 log="$work/$1.log" status=0
    mkdir -p "$work/$target/corpus" "$work/$target/crashes"
    cp "seeds/$target"/* "$work/$target/corpus/"
    "$CARGO_TARGET_DIR/$host/release/$target" "$work/$target/corpus" -max_total_time="$seconds" -max_len=4096 -timeout=20 \
        -rss_limit_mb=2048 -malloc_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$work/$target/crashes/" >"$log" 2>&1 &
    child=$!
    wait "$child" || status=$?
    child=
    if [ "$status" -ne 0 ]; then
        crashed=$((crashed + 1))
        echo "$target: CRASHED (exit $status)"
        grep -m3 -A2 -E "panicked at|^==[0-9]+== ERROR|ERROR: libFuzzer" "$log" | sed 's/^/    /' || tail -5 "$log" | sed 's/^/    /'
        find "$work/$target/crashes" -type f | sed 's/^/    input: /'
        echo "    log: $log"
        return
    fi
    # Without counters it would run, and find little.
    grep -q "inline 8-bit counters" "$log" || fail "$target is not instrumented, see $log"
    local executions features
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    features=$(sed -n 's/^#.*DONE  *cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 edges, \2 features/p' "$log")
    [ "${executions:-0}" -gt 0 ] || fail "$target ran nothing, see $log"
    echo "$target: $executions executions in $seconds s, $features, no crash"
}

for target in "${targets[@]}"; do run "$target"; done
[ "$crashed" -eq 0 ] || fail "$crashed of ${#targets[@]} targets crashed
hint: run one again with its input: $CARGO_TARGET_DIR/$host/release/TARGET INPUT" 1
