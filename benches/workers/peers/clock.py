"""The clock of a run: from when message BENCH_WARM_UP is handled until `stop`, which every consumer calls at its last acknowledgement."""

import json
import os
import platform
import time

TOTAL = int(os.environ["BENCH_TOTAL"])
WARM_UP = int(os.environ["BENCH_WARM_UP"])
_handled = 0
_begun = 0


def count():
    """To be called by the handler. True for the last message."""
    global _handled, _begun
    _handled += 1
    if _handled == WARM_UP:
        _begun = time.monotonic_ns()
    return _handled == TOTAL


def stop():
    """Prints the record of the run."""
    record = {
        "system": os.environ["BENCH_SYSTEM"],
        "round": int(os.environ["BENCH_ROUND"]),
        "messages": TOTAL - WARM_UP,
        "seconds": (time.monotonic_ns() - _begun) / 1e9,
        "runtime": f"Python {platform.python_version()}",
    }
    print(json.dumps(record), flush=True)
