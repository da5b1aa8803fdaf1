#!/usr/bin/env bash
# Shows that the broker's tests can fail: builds it with deliberate bugs (feature `mutants`), switches them on one after the other, and prints which
# tests catch which. Fails where a bug is caught by none, or where the tests fail without one.
set -euo pipefail
cd "$(dirname "$0")/../less-runtime"

# As tests/build.sh does it.
messages=$(cargo test --locked --workspace --all-features --lib --no-run --message-format=json 2>/dev/null)
program=$(printf '%s\n' "$messages" | sed -n 's/.*"executable":"\([^"]*less_runtime-[^"]*\)".*/\1/p' | tail -1)
[ -x "$program" ] || { echo "error: the broker's tests were not built" >&2; exit 2; }

failed() { # the names of the tests that fail with this bug
    # Damage at rest is none of the bugs' doing, and takes long.
    { LESS_MUTANT=$1 timeout 300 "$program" embedded --skip tests::damage 2>/dev/null || true; } | sed -n 's/^test transport::embedded::tests::\(.*\) \.\.\. FAILED$/\1/p' | sort
}

sound=$(failed none)
[ -z "$sound" ] || { echo "error: without a bug these fail: $sound" >&2; exit 1; }
missed=0
for bug in no_sync no_folder_sync ack_before_write attempt_late no_fence dead_not_atomic; do
    by=$(failed "$bug")
    if [ -z "$by" ]; then
        missed=1
        echo "$bug: NOT CAUGHT"
    else
        echo "$bug: caught by $(wc -l <<<"$by") tests"
        sed 's/^/    /' <<<"$by"
    fi
done
exit "$missed"
