"""The app's side of the worker protocol, for tests: a generated app in a temporary folder, and a worker at the other end of a socket."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WAIT = 30.0


class Project:
    """An app's folder, with what `less build` would write."""

    def __init__(self, files=None, topics=None, types=("UserCreated", "UserCreated_Address")):
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="less-python-"))
        python = os.path.join(self.root, ".less", "python")
        os.makedirs(python)
        shutil.copy(os.path.join(HERE, "less_worker.py"), python)
        shutil.copytree(
            os.path.join(HERE, "less"),
            os.path.join(python, "less"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        app = {
            "app": "shop",
            "topics": topics or {"user_created": "UserCreated", "other": None, "class": None},
            "types": list(types),
        }
        self.write(".less/python/less/app.json", json.dumps(app))
        for path, text in (files or {}).items():
            self.write(path, text)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return path

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Worker:
    """A worker process that runs `handler` as `less/topics/user_created/audit/__init__.py`."""

    FILE = "less/topics/user_created/audit/__init__.py"

    def __init__(
        self,
        handler,
        files=None,
        concurrency=100,
        python=sys.executable,
        env=None,
        start=True,
        protocol=1,
        project=None,
    ):
        self.project = project or Project({self.FILE: handler, **(files or {})})
        self.root = self.project.root
        ours, theirs = socket.socketpair()
        self.socket = ours
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [python, "-u", ".less/python/less_worker.py"],
            cwd=self.root,
            pass_fds=[theirs.fileno()],
            env={
                **os.environ,
                "LESS_WORKER_FD": str(theirs.fileno()),
                "PYTHONDONTWRITEBYTECODE": "1",
                **(env or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        theirs.close()
        self.frames = []
        self.ended = False
        self.changed = threading.Condition()
        self.reading = threading.Event()
        self.reading.set()
        self.publishes = lambda frame: [
            {"message_id": f"m{frame['request']}-{i}", "duplicate": False}
            for i in range(len(frame["messages"]))
        ]
        self._next = 0
        threading.Thread(target=self._read, daemon=True).start()
        if start:
            self.hello(concurrency, protocol)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.socket.close()
        self.log.close()
        self.project.remove()

    def hello(self, concurrency=100, protocol=1):
        self.send(
            {
                "type": "hello",
                "protocol": protocol,
                "app": "shop",
                "topic": "user_created",
                "subscriber": "audit",
                "root": self.root,
                "file": self.FILE,
                "concurrency": concurrency,
                "from_the_future": True,
            }
        )

    def send(self, frame):
        self.send_raw(encode(frame))

    def send_raw(self, data):
        self.socket.sendall(data)

    def deliver(self, *bodies, **more):
        """Sends deliveries in one frame; returns their ids."""
        ids = list(range(self._next + 1, self._next + 1 + len(bodies)))
        self._next += len(bodies)
        self.send(
            {"type": "deliver", "deliveries": [delivery(id, body, **more) for id, body in zip(ids, bodies)]}
        )
        return ids

    def wait(self, condition, what="it"):
        """Waits until `condition()` is true of the frames that came."""
        deadline = time.monotonic() + WAIT
        with self.changed:
            while not condition():
                if self.ended and not condition():
                    raise AssertionError(
                        f"the worker ended before {what}: {self.frames[-5:]}\n{self.output()}"
                    )
                if not self.changed.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError(
                        f"{what} did not come within {WAIT} s: {self.frames[-5:]}\n{self.output()}"
                    )

    def of(self, kind):
        return [frame for frame in self.frames if frame["type"] == kind]

    def ready(self):
        self.wait(lambda: self.of("ready") or self.of("failed"), "`ready`")
        assert self.of("ready"), self.frames
        return self

    def failure(self):
        """The text of `failed`; the worker exits with 1."""
        self.wait(lambda: self.of("failed"), "`failed`")
        assert self.exit_code() == 1, self.output()
        return self.of("failed")[0]["error"]

    def outcomes(self):
        """`{id: "done" or the entry of failed}`."""
        out = {}
        for frame in self.of("results"):
            for id in frame.get("done", ()):
                assert id not in out, f"two results for {id}"
                out[id] = "done"
            for entry in frame.get("failed", ()):
                assert entry["id"] not in out, f"two results for {entry['id']}"
                out[entry["id"]] = entry
        return out

    def outcome(self, id):
        self.wait(lambda: id in self.outcomes(), f"a result of {id}")
        return self.outcomes()[id]

    def handle(self, body, **more):
        """Delivers one message, and returns its outcome."""
        return self.outcome(self.deliver(body, **more)[0])

    def stop(self):
        self.send({"type": "stop"})
        return self.exit_code()

    def exit_code(self):
        return self.process.wait(WAIT)

    def wait_log(self, text):
        """Waits until the handler has printed this."""
        deadline = time.monotonic() + WAIT
        while text not in self.output():
            assert time.monotonic() < deadline, f"{text!r} was not printed within {WAIT} s: {self.output()}"
            time.sleep(0.001)

    def output(self):
        # Not by seeking: the worker writes at the same place of the same open file.
        return os.pread(self.log.fileno(), os.fstat(self.log.fileno()).st_size, 0).decode("utf-8", "replace")

    def _read(self):
        try:
            for frame in _frames(self.socket):
                self.reading.wait()
                if frame["type"] == "publish" and self.publishes:
                    results = self.publishes(frame)
                    if results is not None:
                        self.send({"type": "published", "request": frame["request"], "results": results})
                with self.changed:
                    self.frames.append(frame)
                    self.changed.notify_all()
        except OSError:
            pass
        with self.changed:
            self.ended = True
            self.changed.notify_all()


def delivery(id, body, **more):
    return {
        "id": id,
        "message_id": f"id-{id}",
        "attempt": 1,
        "published_at": 1_700_000_000_123,
        "body": body,
        **more,
    }


def encode(frame):
    text = json.dumps(frame, ensure_ascii=False).encode("utf-8")
    return len(text).to_bytes(4, "big") + text


def _frames(connection):
    file = connection.makefile("rb")
    while True:
        head = file.read(4)
        if len(head) < 4:
            return
        yield json.loads(file.read(int.from_bytes(head, "big")))
