"""How many trivial messages a worker handles in a second: `python -m tests.bench [concurrency] [seconds]` in less-cli/languages/python.

The app's side is an echo that counts: it keeps `concurrency` deliveries in flight, sends as many as were finished in one frame, and reads no more of the
results than it must.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time

from tests.fake_app import Project, delivery

FILE = "less/topics/user_created/audit/__init__.py"
BODY = {"user_id": "0190e7c2", "email": "someone@example.com", "first_name": "Some", "tags": ["a", "b"]}
HANDLERS = {
    "def process(message)": "def process(message):\n    pass\n",
    "def process(message, context)": "def process(message, context):\n    context.attempt\n",
    "async def process(message)": "async def process(message):\n    pass\n",
    "async def, sleep(0)": "import asyncio\nasync def process(message):\n    await asyncio.sleep(0)\n",
    "def, blocks 1 ms": "import time\ndef process(message):\n    time.sleep(0.001)\n",
    "def, blocks 10 ms": "import time\ndef process(message):\n    time.sleep(0.01)\n",
}


def measure(handler, concurrency, seconds, python=sys.executable):
    """Handled messages a second."""
    project = Project({FILE: handler})
    ours, theirs = socket.socketpair()
    worker = subprocess.Popen(
        [python, "-u", ".less/python/less_worker.py"],
        cwd=project.root,
        pass_fds=[theirs.fileno()],
        env={**os.environ, "LESS_WORKER_FD": str(theirs.fileno())},
    )
    theirs.close()
    try:
        file = ours.makefile("rb")
        ours.sendall(
            _frame(
                {
                    "type": "hello",
                    "protocol": 1,
                    "app": "shop",
                    "topic": "user_created",
                    "subscriber": "audit",
                    "root": project.root,
                    "file": FILE,
                    "concurrency": concurrency,
                }
            )
        )
        assert b'"ready"' in _read(file)
        one = json.dumps(delivery(1, BODY)).encode().replace(b'"id": 1,', b'"id": %d,')
        next_id = 1

        def deliver(count):
            nonlocal next_id
            text = (
                b'{"type":"deliver","deliveries":['
                + b",".join([one % id for id in range(next_id, next_id + count)])
                + b"]}"
            )
            next_id += count
            ours.sendall(len(text).to_bytes(4, "big") + text)

        deliver(concurrency)
        start, handled = time.monotonic(), 0
        while time.monotonic() < start + seconds:
            text = _read(file)
            assert b'"failed"' not in text, text
            done = len(re.findall(rb"\d+", text))
            handled += done
            deliver(done)
        return handled / (time.monotonic() - start)
    finally:
        worker.kill()
        worker.wait()
        ours.close()
        project.remove()


def _frame(frame):
    text = json.dumps(frame).encode()
    return len(text).to_bytes(4, "big") + text


def _read(file):
    return file.read(int.from_bytes(file.read(4), "big"))


if __name__ == "__main__":
    concurrency = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    print(f"Python {sys.version.split()[0]}, {concurrency} in flight")
    for name, handler in HANDLERS.items():
        print(f"{measure(handler, concurrency, seconds):>10,.0f}/s  {name}", flush=True)
