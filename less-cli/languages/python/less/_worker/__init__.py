"""The worker: loads one subscriber's handler, and runs it for the deliveries that the app sends. See docs/worker-protocol.md of Less."""

# Everything the worker needs is imported before the user's folders enter sys.path: a `queue.py` beside a handler then changes nothing here.
import asyncio
import os
import platform
import signal
import socket
import sys
import threading

from less import _http, _publish  # noqa: F401
from less._worker import handler_module, report
from less._worker.channel import Channel
from less._worker.frames import read_frames
from less._worker.handler import Unfit, inspect_handler
from less._worker.reader import Reader
from less._worker.work import Work

PROTOCOL = 1


def main():
    """Runs until the app says `stop`, or goes away. Does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(_socket())
    frames = read_frames(channel.socket)
    hello = next(frames, None)
    if hello is None:
        os._exit(1)
    _publish.set_channel(channel)
    os.register_at_fork(after_in_child=channel.leave_to_parent)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    work = Work(channel, loop, hello)
    reader = Reader(channel, frames, work)
    threading.Thread(target=reader.run, name="less-reader", daemon=True).start()
    handler = _load(channel, hello)
    # The handler's module may have run a loop of its own, which leaves none behind.
    asyncio.set_event_loop(loop)
    work.begin(handler)
    channel.send({"type": "ready", "protocol": PROTOCOL, "runtime": f"Python {platform.python_version()}"})
    _end(channel, work.run())


def _socket():
    number = os.environ.pop("LESS_WORKER_FD", "")
    if not number.isdigit():
        print(
            "error: LESS_WORKER_FD is not set: a worker is started by the app\nhint: run `less dev`",
            file=sys.stderr,
        )
        sys.exit(2)
    connection = socket.socket(fileno=int(number))
    connection.set_inheritable(False)
    connection.setblocking(True)
    return connection


def _load(channel, hello):
    if hello.get("type") != "hello" or hello.get("protocol") != PROTOCOL:
        text = f"the app speaks version {hello.get('protocol')} of the worker protocol, this worker version {PROTOCOL}"
        _fail(channel, f"{text}\nhint: run `less build`")
    report.root_is(hello["root"])
    try:
        module = handler_module.load(hello["root"], hello["topic"], hello["subscriber"], hello["file"])
        return inspect_handler(module, hello["file"])
    except Unfit as unfit:
        _fail(channel, str(unfit))
    except BaseException as error:
        _fail(channel, report.load_error(error))


def _fail(channel, text):
    channel.send({"type": "failed", "error": text})
    _flush_log()
    # Not sys.exit: threads that the module started could hold the process.
    os._exit(1)


def _end(channel, code):
    """Ends as any Python program: threads that are no daemons are waited for, functions of `atexit` run."""
    channel.ending = True
    _flush_log()
    sys.exit(code)


def _flush_log():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
