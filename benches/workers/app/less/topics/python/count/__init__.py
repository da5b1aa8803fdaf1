"""Counts, and keeps the clock of the run: see README.md. Calls run in threads, so what they share is made for that."""

import itertools
import json
import os
import platform
import threading
import time

TOTAL = int(os.environ["BENCH_TOTAL"])
WARM_UP = int(os.environ["BENCH_WARM_UP"])
numbers = itertools.count(1)
begun = 0
going = False
waiting = threading.Lock()


def process(message):
    global begun
    if not going:
        go()
    # One step of the interpreter: two threads never get the same number.
    number = next(numbers)
    if number == WARM_UP:
        begun = time.monotonic_ns()
    if number == TOTAL:
        finish()


def go():
    """Waits for the file that says that the backlog is there."""
    global going
    with waiting:
        while not going:
            going = os.path.exists(os.environ["BENCH_GO"])
            if not going:
                time.sleep(0.01)


def finish():
    file = os.environ["BENCH_RESULT"]
    times = {"begun": str(begun), "ended": str(time.monotonic_ns()), "runtime": f"Python {platform.python_version()}"}
    with open(f"{file}.part", "w") as part:
        json.dump(times, part)
    os.replace(f"{file}.part", file)
