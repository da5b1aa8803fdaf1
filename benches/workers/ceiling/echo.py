"""The least that a worker in Python can be: it parses each frame and answers what it holds at once. docs/worker-protocol.md has the frames."""

import json
import os
import platform
import socket

from frames import Frames, send

app = socket.socket(fileno=int(os.environ["LESS_WORKER_FD"]))
frames = Frames(app)
handled = 0

while (frame := frames.read()) is not None:
    if frame["type"] == "deliver":
        done = []
        for delivery in frame["deliveries"]:
            handled += 1
            done.append(delivery["id"])
        send(app, {"type": "results", "done": done})
    elif frame["type"] == "hello":
        send(app, {"type": "ready", "protocol": 1, "runtime": f"Python {platform.python_version()}"})
    elif frame["type"] == "stop":
        break
