#!/usr/bin/env bash
# Builds the workspace's programs and tests, for every step in the same way. Cargo compiles a dependency once for each set of features that it is asked
# for, and what is built together decides on that set: a program built by itself would have most of them compiled again.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo build --locked -q --workspace --all-features --lib --bins --tests --examples
