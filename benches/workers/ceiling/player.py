"""Plays the app to one worker: deliveries of 64 a frame, at most 256 outstanding, until BENCH_TOTAL are done. Prints the record of the run.

    player.py [--root FOLDER --topic TOPIC --file FILE] PROGRAM ARGUMENT…

What it sends is made before the clock runs, so that the worker is what is measured. With `--root`, the worker is a real one and is started there.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time

from frames import Frames, pack, send

FRAME = 64
OUTSTANDING = 256


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=".")
    parser.add_argument("--topic", default="echo")
    parser.add_argument("--file", default="echo")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    total, warm_up = int(os.environ["BENCH_TOTAL"]), int(os.environ["BENCH_WARM_UP"])
    mine, theirs = socket.socketpair()
    environment = os.environ | {"LESS_WORKER_FD": str(theirs.fileno())}
    worker = subprocess.Popen(
        [options.program, *options.arguments],
        cwd=options.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    try:
        frames = Frames(mine)
        send(mine, hello(options))
        try:
            ready = frames.read()
        except ConnectionResetError:
            sys.exit("error: the worker has ended; what it has written says why")
        if ready is None or ready["type"] != "ready":
            sys.exit(f"error: the worker is not ready: {ready}")
        seconds = play(mine, frames, deliveries(total), total, warm_up)
        send(mine, {"type": "stop"})
        status = worker.wait(timeout=20)
        if status != 0:
            sys.exit(f"error: the worker ended with {status}")
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    record = {
        "system": os.environ["BENCH_SYSTEM"],
        "round": int(os.environ["BENCH_ROUND"]),
        "messages": total - warm_up,
        "seconds": seconds,
        "runtime": ready["runtime"],
    }
    print(json.dumps(record), flush=True)


def hello(options):
    return {
        "type": "hello",
        "protocol": 1,
        "app": "workers_app",
        "topic": options.topic,
        "subscriber": "count",
        "root": os.path.abspath(options.root),
        "file": options.file,
        "concurrency": OUTSTANDING,
    }


def deliveries(total):
    """Frames with `total` deliveries, and how many each holds."""
    all_frames = []
    for start in range(1, total + 1, FRAME):
        ids = range(start, min(start + FRAME, total + 1))
        all_frames.append((len(ids), pack({"type": "deliver", "deliveries": [delivery(number) for number in ids]})))
    return all_frames


def delivery(number):
    return {
        "id": number,
        "message_id": f"{number:026}",
        "attempt": 1,
        "published_at": 1_700_000_000_000 + number,
        "body": body(number),
    }


def body(number):
    """256 bytes as JSON, as peers/backlog.js makes them."""
    return {"number": number, "text": "x" * (256 - len(f'{{"number":{number},"text":""}}'))}


def play(mine, frames, to_send, total, warm_up):
    """Seconds from the `warm_up`th to the last result."""
    waiting = iter(to_send)
    following = next(waiting, None)
    held, done, begun = set(), 0, None
    sent = 0
    while done < total:
        while following is not None and len(held) + following[0] <= OUTSTANDING:
            mine.sendall(following[1])
            held.update(range(sent + 1, sent + following[0] + 1))
            sent += following[0]
            following = next(waiting, None)
        frame = frames.read()
        if frame is None or frame["type"] != "results" or frame.get("failed"):
            sys.exit(f"error: no results from the worker: {frame}")
        answered = frame.get("done", [])
        before = len(held)
        held.difference_update(answered)
        if before - len(held) != len(answered):
            sys.exit("error: the worker has answered what it does not hold")
        done += len(answered)
        if begun is None and done >= warm_up:
            begun, counted = time.monotonic_ns(), done
    seconds = (time.monotonic_ns() - begun) / 1e9
    # The first answer past the mark may hold more than one message.
    return seconds * (total - warm_up) / (total - counted)


main()
