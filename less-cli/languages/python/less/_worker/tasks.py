"""Handlers written with `async def`, on the event loop of the main thread."""

import asyncio
import sys

from less._worker.forked import end_fork

_EAGER = sys.version_info >= (3, 12)


class Tasks:
    def __init__(self, work):
        self._work = work
        self._loop = work.loop
        self._flush_planned = False

    def wake(self):
        """Deliveries came. From any thread."""
        self._loop.call_soon_threadsafe(self._begin)

    def take_over(self, id, awaitable):
        """A handler in a thread returned something to await. From any thread."""
        self._loop.call_soon_threadsafe(self._start, id, self._run(id, lambda _: awaitable, None))

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
            delivery = work.claim(id)
            if delivery is not None:
                self._start(id, self._run(id, call, delivery))
        work.settle()

    def _start(self, id, coroutine):
        # Eager: a handler that never waits is over before this returns, without a turn of the loop.
        task = asyncio.Task(coroutine, loop=self._loop, eager_start=True) if _EAGER else asyncio.Task(coroutine, loop=self._loop)
        if not task.done():
            self._work.running[id] = task

    async def _run(self, id, call, delivery):
        work = self._work
        try:
            result = call(delivery)
            if result is not None and hasattr(result, "__await__"):
                await result
        except BaseException as error:
            work.failed(id, error)
        else:
            if work.channel.forked:
                end_fork()
            work.done(id)
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self):
        self._flush_planned = False
        self._work.settle()

    def _cancel(self, id):
        task = self._work.running.get(id)
        if task is not None:
            task.cancel()
