#!/usr/bin/env bash
# The CloudFormation templates that `less export` prints (those of tests/exports.rs), judged by cfn-lint.
#
# Needs Python 3.9 or later; installs cfn-lint at a pinned version (tests/aws/cfn-lint.txt) under target/.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="${CARGO_TARGET_DIR:-$PWD/target}/tools/cfn-lint"
python="${PYTHON:-python3}"
wanted=$(cat tests/aws/cfn-lint.txt; "$python" --version)
if [ "$wanted" != "$(cat "$folder/installed" 2>/dev/null)" ]; then
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r tests/aws/cfn-lint.txt
    echo "$wanted" >"$folder/installed"
fi
# In two regions, as not every one has every property.
"$folder/bin/cfn-lint" --regions eu-west-1 us-east-1 --template tests/exports/expected/cloudformation-*.json
