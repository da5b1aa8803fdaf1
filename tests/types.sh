#!/usr/bin/env bash
# The types that are generated for TypeScript and Python, judged by the compilers that users have: what is right is accepted, and each line that ends
# in `refused` is refused, in tests/types/typescript/program.ts and tests/types/python/program.py. The app there has no Rust.
#
# Needs Node.js with npm and Python 3.9 or later; installs TypeScript, mypy and Pyright at pinned versions under target/.
set -euo pipefail
cd "$(dirname "$0")/.."

TYPESCRIPT=(5.9.3 7.0.2)
MYPY=1.18.2
PYRIGHT=1.1.414
# The oldest Python that is promised.
PYTHON_TARGET=3.9

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
tools="$CARGO_TARGET_DIR/tools/types"
python="${PYTHON:-python3}"

# A program of npm in a folder of its own, so that versions stand side by side.
node_tool() {
    local folder="$tools/$1-$2"
    if [ ! -f "$folder/installed" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        npm install --silent --no-audit --no-fund --prefix "$folder" "$1@$2" >&2
        touch "$folder/installed"
    fi
    echo "$folder/node_modules/.bin"
}

mypy_tool() {
    local folder="$tools/mypy-$MYPY"
    if [ ! -f "$folder/installed" ]; then
        rm -rf "$folder"
        "$python" -m venv "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check "mypy==$MYPY" >&2
        touch "$folder/installed"
    fi
    echo "$folder/bin/mypy"
}

tests/build.sh
work=$(mktemp -d "$CARGO_TARGET_DIR/types.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -R tests/types/. "$work"
"$CARGO_TARGET_DIR/debug/less" build --app "$work/app"
if [ -e "$work/app/.less/less" ] || [ -e "$work/app/.less/Cargo.toml" ]; then
    echo "error: Rust was generated for an app without Rust"
    exit 1
fi

# Compares the lines with errors, which stand in $work/found as `file:line`, with those that ask for one. Notes and warnings are none.
compare() {
    local name=$1 program=$2
    grep -n 'refused$' "$program" | sed "s|^\([0-9]*\):.*|${program##*/}:\1|" | sort -u >"$work/wanted"
    sort -u -o "$work/found" "$work/found"
    if ! diff "$work/wanted" "$work/found" >"$work/difference"; then
        echo "error: $name and ${program##*/} disagree; < should be refused, > should not"
        cat "$work/difference" "$work/output"
        exit 1
    fi
    echo "$name: $(wc -l <"$work/wanted" | tr -d ' ') lines refused, the other $(grep -vc 'refused$' "$program") accepted"
}

# Runs a type checker: with errors in the program it ends with 1, anything else is a failure of its own.
judge() {
    local status=0
    "$@" >"$work/output" 2>&1 || status=$?
    case $status in
    1 | 2) ;;
    *)
        echo "error: \`$1\` ended with $status"
        cat "$work/output"
        exit 1
        ;;
    esac
}

for version in "${TYPESCRIPT[@]}"; do
    bin=$(node_tool typescript "$version")
    judge "$bin/tsc" --project "$work/typescript" --pretty false
    # Other files than the program have no error to show: their names would be among what was found.
    sed -n 's|^\(.*/\)\{0,1\}\([^/(]*\)(\([0-9]*\),[0-9]*): error .*|\2:\3|p' "$work/output" >"$work/found"
    compare "TypeScript $version" "$work/typescript/program.ts"
done

# What type checkers know by name is there at run time too.
python_names=$(sed -n '/^from less import/,/^)/p' "$work/python/program.py")
node_names=$(sed -n "s|^import { \(.*\) } from '@chuva.io/less';|\1|p" "$work/typescript/program.ts")
[ -n "$python_names" ] && [ -n "$node_names" ]
python_names+=$'\n'$(grep '^from less\.external_topics' "$work/python/program.py")
PYTHONPATH="$work/app/.less/python" PYTHONDONTWRITEBYTECODE=1 "$python" -c "$python_names"
NODE_PATH="$work/app/.less/node_modules" node -e "const all = require('@chuva.io/less'); const { $node_names } = all;
    for (const [name, one] of Object.entries({ $node_names })) if (one === undefined) throw new Error(name);"

stub="$work/app/.less/python/less/__init__.pyi"
mypy=$(mypy_tool)
cd "$work/python"
MYPYPATH="$work/app/.less/python" judge "$mypy" --strict --python-version "$PYTHON_TARGET" --cache-dir "$work/mypy" --no-error-summary program.py "$stub"
sed -n 's|^\(.*/\)\{0,1\}\([^/:]*\):\([0-9]*\): error: .*|\2:\3|p' "$work/output" >"$work/found"
compare "mypy $MYPY --strict" "$work/python/program.py"

bin=$(node_tool pyright "$PYRIGHT")
judge "$bin/pyright" --project "$work/python"
sed -n 's|^ *\(.*/\)\{0,1\}\([^/:]*\):\([0-9]*\):[0-9]* - error: .*|\2:\3|p' "$work/output" >"$work/found"
compare "Pyright $PYRIGHT strict" "$work/python/program.py"
