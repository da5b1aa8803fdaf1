#!/usr/bin/env bash
# Every unit, integration and documentation test of the workspace. Those that wait for the servers of SNS and SQS more than they work run four at a time,
# the others as many as there are processors. Run by run.sh, beside those servers: `tests/aws/servers.sh tests/suites.sh`.
set -euo pipefail
cd "$(dirname "$0")/.."

waits=(aws deploy)
# Found, not listed: no test can be forgotten here.
targets=$(cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
found = {t["name"] for p in json.load(sys.stdin)["packages"] for t in p["targets"] if t["kind"] == ["test"]}
waits = set(sys.argv[1:])
assert waits < found, f"no tests are called {waits - found}"
print(*sorted(found - waits))' "${waits[@]}")
read -ra others <<<"$targets"

all=(cargo test --locked --workspace --all-features)
RUST_TEST_THREADS=4 "${all[@]}" "${waits[@]/#/--test=}"
"${all[@]}" --lib --bins --examples "${others[@]/#/--test=}"
"${all[@]}" --doc
