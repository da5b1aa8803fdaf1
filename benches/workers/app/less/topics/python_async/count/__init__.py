"""Counts, and keeps the clock of the run: see README.md. Calls share one event loop."""

import asyncio
import json
import os
import platform
import time

TOTAL = int(os.environ["BENCH_TOTAL"])
WARM_UP = int(os.environ["BENCH_WARM_UP"])
handled = 0
begun = 0
going = False


async def process(message):
    global handled, begun
    if not going:
        await go()
    handled += 1
    if handled == WARM_UP:
        begun = time.monotonic_ns()
    if handled == TOTAL:
        finish()


async def go():
    """Waits for the file that says that the backlog is there."""
    global going
    while not going:
        going = os.path.exists(os.environ["BENCH_GO"])
        if not going:
            await asyncio.sleep(0.01)


def finish():
    file = os.environ["BENCH_RESULT"]
    times = {"begun": str(begun), "ended": str(time.monotonic_ns()), "runtime": f"Python {platform.python_version()}"}
    with open(f"{file}.part", "w") as part:
        json.dump(times, part)
    os.replace(f"{file}.part", file)
