import os
import signal
import sys
import threading
import time


def uncaught():
    raise Unprintable()


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")


def deep():
    return deep()


def loop():
    while True:
        pass


def circle():
    a = []
    a.append(a)
    return a


def flood():
    for _ in range(20000):
        print("x" * 100)


def again(context):
    if context.attempt == 1:
        context.retry_after("20ms")


def throw():
    raise ValueError("thrown")


def die(of):
    os.kill(os.getpid(), of)
    # The system may let this thread go on for a moment.
    time.sleep(1000)


def leave(code):
    sys.stdout.flush()
    os._exit(code)


FAULTS = {
    "ok": lambda context: None,
    "throw": lambda context: throw(),
    "unprintable": lambda context: uncaught(),
    "deep": lambda context: deep(),
    "sys_exit": lambda context: sys.exit(0),
    "sys_exit3": lambda context: sys.exit(3),
    "exit": lambda context: leave(0),
    "segfault": lambda context: die(signal.SIGSEGV),
    "kill": lambda context: die(signal.SIGKILL),
    "loop": lambda context: loop(),
    "hang": lambda context: time.sleep(1000),
    "memory": lambda context: bytearray(1 << 60),
    "flood": lambda context: flood(),
    "long_line": lambda context: print("y" * (1 << 20), file=sys.stderr),
    "object": lambda context: object(),
    "circle": lambda context: circle(),
    "no": lambda context: context.reject("no such user"),
    "again": again,
}
LOCK = threading.Lock()


def process(message, context):
    with LOCK, open("log", "a") as log:
        log.write(f"{context.subscriber} {message['n']} {context.attempt}\n")
    return FAULTS[message["do"]](context)
