"""Handlers written with `async def`, on the event loop of the main thread."""

import asyncio
import sys

from less._worker.forked import end_fork
from less._worker.returned import goes_on

_EAGER = sys.version_info >= (3, 12)


class Tasks:
    def __init__(self, work):
        self._work = work
        self._loop = work.loop
        self._flush_planned = False
        # Those that wait for something, by the delivery's id. The loop itself keeps weak references only.
        self._tasks = {}

    def wake(self):
        """Deliveries came. From any thread."""
        self._loop.call_soon_threadsafe(self._begin, context=self._work.context)

    def take_over(self, id, awaitable):
        """A handler in a thread returned something to await. From any thread."""
        self._loop.call_soon_threadsafe(self._start, id, self._finish(id, lambda _: awaitable, None))

    def cancel(self, id):
        """Cancels the delivery's task, if it has one. From any thread."""
        self._loop.call_soon_threadsafe(self._cancel, id)

    def close(self):
        """Ends what handlers left running, as asyncio.run does."""
        loop = self._loop
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())

    def _begin(self):
        work = self._work
        queue, call = work.queue, work.call
        while queue:
            id = queue.popleft()
            self._start(id, self._run(id, call))
        work.settle()

    def _start(self, id, coroutine):
        # Eager: a handler that never waits is over before this returns, without a turn of the loop.
        task = (
            asyncio.Task(coroutine, loop=self._loop, eager_start=True)
            if _EAGER
            else asyncio.Task(coroutine, loop=self._loop)
        )
        if not task.done():
            self._tasks[id] = task

    async def _run(self, id, call):
        # Claimed here: where tasks are not eager, a handler before this one may block the loop, and this one waits still.
        delivery = self._work.claim(id)
        if delivery is not None:
            await self._finish(id, call, delivery)

    async def _finish(self, id, call, delivery):
        work = self._work
        try:
            result = call(delivery)
            while result is not None and goes_on(result):
                awaited, result = result, await result
                if result is awaited:
                    break  # Such as a pool, which gives itself.
        except BaseException as error:
            work.failed(id, error)
        else:
            if work.channel.forked:
                end_fork()
            work.done(id)
        self._tasks.pop(id, None)
        if not self._flush_planned:
            self._flush_planned = True
            work.wake_monitor()
            self._loop.call_soon(self._flush)

    def _flush(self):
        self._flush_planned = False
        self._work.settle()

    def _cancel(self, id):
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()
