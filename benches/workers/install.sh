#!/usr/bin/env bash
# Fetches RabbitMQ as benches/peers does, and the peers' clients, at pinned versions, into the folder $1. Does nothing where all is there.
# Needs Node.js 20 with npm, and Python 3.10 or later with venv (FastStream's least).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=$1

"$here/../peers/install.sh"

mkdir -p "$to"
if ! cmp -s "$here/package-lock.json" "$to/node/.done"; then
    echo "installing the peers in Node.js" >&2
    rm -rf "$to/node"
    mkdir "$to/node"
    cp "$here/package.json" "$here/package-lock.json" "$to/node"
    (cd "$to/node" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    cp "$here/package-lock.json" "$to/node/.done"
fi

# Made anew for another Python too: all consumers of a run have the same.
wanted=$(python3 --version && cat "$here/requirements.txt")
if [ "$(cat "$to/python/.done" 2>/dev/null)" != "$wanted" ]; then
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        echo "error: FastStream needs Python 3.10 or later, and \`python3\` is $(python3 --version)" >&2
        echo "hint: put a later one first on PATH" >&2
        exit 2
    fi
    echo "installing the peers in Python" >&2
    rm -rf "$to/python"
    python3 -m venv "$to/python"
    "$to/python/bin/pip" install -q --disable-pip-version-check --no-deps -r "$here/requirements.txt"
    echo "$wanted" >"$to/python/.done"
fi
