"""Threads that run handlers written with `def`.

A runner takes deliveries one after the other: handing each to a thread of its own would cost more than most handlers do. One that is stuck in a handler
is noticed by the monitor, which wakes or starts others, up to the subscriber's concurrency. Runners stay, and sleep when there is nothing to do.
"""

import threading

from less._worker.forked import end_fork
from less._worker.returned import goes_on

_SEND_AFTER = 64


class Runner:
    __slots__ = ("count", "awake", "seen", "stuck", "bed")

    def __init__(self):
        self.count = 0  # Deliveries begun.
        self.awake = True
        self.seen = -1  # `count` when the monitor looked last.
        self.stuck = False  # No progress between two looks.
        self.bed = threading.Lock()
        self.bed.acquire()


class Runners:
    def __init__(self, work):
        self._work = work
        self.all = []
        self._asleep = []
        self._starting = threading.Lock()
        self.want = 1  # How many shall run that are not stuck: more than one only where handlers block.

    def wake(self):
        """Deliveries came."""
        missing = min(self.want, len(self._work.queue)) - self.moving()
        if missing > 0:
            self.add(missing)

    def moving(self):
        """How many are awake and not stuck."""
        return sum(runner.awake and not runner.stuck for runner in self.all)

    def add(self, number):
        """Wakes runners, or starts new ones, as far as the concurrency allows."""
        for _ in range(number):
            try:
                runner = self._asleep.pop()
            except IndexError:
                if not self._start():
                    return
            else:
                runner.awake = True
                runner.bed.release()

    def _start(self):
        with self._starting:
            if len(self.all) >= self._work.concurrency:
                return False
            runner = Runner()
            name = f"less-handler-{len(self.all) + 1}"
            self.all.append(runner)
        try:
            threading.Thread(target=self._run, args=(runner,), name=name, daemon=True).start()
        except RuntimeError:
            # No more threads to be had: those that are there do the work.
            self.all.remove(runner)
            return False
        return True

    def _run(self, runner):
        work = self._work
        channel, call, context, running = work.channel, work.call, work.context, work.running
        next_id, claim, results = work.queue.popleft, work.waiting.pop, work.outcomes.done
        while True:
            try:
                id = next_id()
            except IndexError:
                delivery = result = None
                self._rest(runner)
                continue
            # As Work.claim, which this would call for every message.
            running.add(id)
            delivery = claim(id, None)
            if delivery is None:
                running.discard(id)
                continue
            runner.count += 1
            try:
                result = context.copy().run(call, delivery)
                later = result is not None and goes_on(result)
            except BaseException as error:
                work.failed(id, error)
            else:
                if channel.forked:
                    end_fork()
                if later:
                    work.tasks.take_over(id, result)
                else:
                    results.append(id)
                    running.discard(id)
                    if len(results) >= _SEND_AFTER:
                        work.outcomes.flush()
            if runner.stuck:
                runner.stuck = False

    def _rest(self, runner):
        """Sleeps until there may be something to do."""
        self._work.settle()
        runner.awake = runner.stuck = False
        self._asleep.append(runner)
        if self._work.queue:
            # What came since may have met nobody asleep. Whoever woke this runner meanwhile has released its bed.
            try:
                self._asleep.remove(runner)
            except ValueError:
                runner.bed.acquire()
            runner.awake = True
            return
        runner.bed.acquire()
        if not self._work.queue and self.want > 1:
            self.want -= 1  # Woken for nothing.
