import asyncio
import os
import signal
import sys


async def throw():
    await asyncio.sleep(0)
    raise ValueError("thrown")


async def loop():
    while True:
        pass


async def cancelled():
    raise asyncio.CancelledError()


async def again(context):
    if context.attempt == 1:
        context.retry_after("20ms")


async def no(context):
    await asyncio.sleep(0.001)
    context.reject("no such user")


async def die(of):
    os.kill(os.getpid(), of)
    # The system may let this thread go on for a moment.
    await asyncio.sleep(1000)


async def value(result):
    return result


async def call(function, *arguments):
    function(*arguments)


FAULTS = {
    "ok": lambda context: value(None),
    "throw": lambda context: throw(),
    "cancelled": lambda context: cancelled(),
    "sys_exit": lambda context: call(sys.exit, 0),
    "exit": lambda context: call(os._exit, 0),
    "segfault": lambda context: die(signal.SIGSEGV),
    "loop": lambda context: loop(),
    "hang": lambda context: asyncio.sleep(1000),
    "object": lambda context: value(object()),
    "no": no,
    "again": again,
}


async def process(message, context):
    with open("log", "a") as log:
        log.write(f"{context.subscriber} {message['n']} {context.attempt}\n")
    return await FAULTS[message["do"]](context)
