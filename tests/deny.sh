#!/usr/bin/env bash
# Licences, bans and sources of all dependencies, judged by cargo-deny, which is built at a pinned version below the target folder where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO_DENY=0.20.2
tools="${CARGO_TARGET_DIR:-$PWD/target}/tools"

if ! "$tools/bin/cargo-deny" --version 2>/dev/null | grep -qx "cargo-deny $CARGO_DENY"; then
    # Unoptimised: it runs for a second, and is built on every clean clone.
    CARGO_TARGET_DIR="$tools/build" cargo install -q cargo-deny --version "$CARGO_DENY" --locked --root "$tools" \
        --config profile.release.lto=false --config profile.release.opt-level=0 --config profile.release.codegen-units=16
fi
# Advisories need a database from the network, which the tests do not assume.
"$tools/bin/cargo-deny" --all-features check bans licenses sources
