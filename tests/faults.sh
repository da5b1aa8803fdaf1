#!/usr/bin/env bash
# Proofs on the shipped program and the real disk: power cuts, kills, every failing system call, a message that ends its process. Each prints its
# counts; what it promises is in ARCHITECTURE.md.
#
#   tests/faults.sh            every proof, in under five minutes
#   tests/faults.sh 10         ten times as many cuts, kills and good messages
#   tests/faults.sh 1 kill     this proof alone: power, points, kill, links, poison
#
# `power` and `points` need root, loop devices and ext4, `points` also strace (installed where apt-get can). Where they are missing the proof is
# skipped, said so, and not claimed: exit 3 where nothing else failed.
set -euo pipefail
cd "$(dirname "$0")/.."

scale=${1:-1}
[[ $scale =~ ^[1-9][0-9]*$ ]] || { printf 'error: `%s` is no number of times\nhint: tests/faults.sh 1 kill\n' "$scale" >&2; exit 2; }
shift || true
all=(power points kill links poison)
proofs=("$@")
[ ${#proofs[@]} -gt 0 ] || proofs=("${all[@]}")
for proof in "${proofs[@]}"; do
    [[ " ${all[*]} " == *" $proof "* ]] || { printf 'error: there is no proof `%s`\nhint: proofs are %s\n' "$proof" "${all[*]}" >&2; exit 2; }
done

unset LESS_LISTEN LESS_DATA LESS_STAGE LESS_URL LESS_API_KEY LESS_LOG LESS_DRAIN LESS_RUNTIME_PATH LESS LESS_MUTANT
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
target="${CARGO_TARGET_DIR:-$PWD/target}"
CARGO_TARGET_DIR="$target" tests/build.sh
faults="$target/debug/less-faults"
less="$target/debug/less"
# The app under test is a user's: it builds beside those of the other tests.
export CARGO_TARGET_DIR="$target/e2e"

if [[ " ${proofs[*]} " == *" points "* ]] && ! command -v strace >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends strace; } >/dev/null 2>&1 || true
fi

skipped=()
failed=()
for proof in "${proofs[@]}"; do
    began=$SECONDS
    echo "--> $proof"
    status=0
    case $proof in
    power) "$faults" power --cuts $((200 * scale)) --control-cuts 12 || status=$? ;;
    points) "$faults" points --rounds $((9 + scale)) || status=$? ;;
    kill) "$faults" kill --less "$less" --kills $((300 * scale)) || status=$? ;;
    links) "$faults" links --less "$less" --kills $((200 * scale)) --messages $((100000 * scale)) || status=$? ;;
    poison) "$faults" poison --less "$less" --good $((10000 * scale)) || status=$? ;;
    esac
    case $status in
    0) ;;
    3) skipped+=("$proof") ;;
    *) failed+=("$proof") ;;
    esac
    echo "<-- $proof ($((SECONDS - began)) s)"
done
[ ${#skipped[@]} -eq 0 ] || echo "not proven here: ${skipped[*]}"
[ ${#failed[@]} -eq 0 ] || { echo "error: failed: ${failed[*]}" >&2; exit 1; }
[ ${#skipped[@]} -eq 0 ] || exit 3
