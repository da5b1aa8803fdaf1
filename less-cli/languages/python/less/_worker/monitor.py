"""The thread that looks every millisecond while there is work: what waits to be sent is sent, and handlers that block get neighbours."""

import threading
import time

_TICK = 0.001
_IDLE_TICKS = 20
_CALM_TICKS = 200


class Monitor:
    def __init__(self, work, runners):
        self._work = work
        self._runners = runners
        self._awake = threading.Event()
        self._calm = 0  # Looks since handlers blocked.
        self._last = 0.0, 0.0  # When messages waited last, and the processor's time then.

    def start(self):
        threading.Thread(target=self._run, name="less-monitor", daemon=True).start()

    def wake(self):
        if not self._awake.is_set():
            self._awake.set()

    def _run(self):
        idle = 0
        while True:
            time.sleep(_TICK)
            work = self._work
            # What is being handled needs no looking at: whoever ends it finds nothing that waits, and sends the result.
            busy = work.waiting or work.outcomes
            work.settle()
            if self._runners is not None:
                self._look()
            idle = 0 if busy else idle + 1
            if idle >= _IDLE_TICKS:
                self._awake.clear()
                # What came before the clearing is seen here; what comes later sets the event.
                if not work.waiting and not work.outcomes and not work.stopping:
                    self._awake.wait()
                idle = 0

    def _look(self):
        """Finds runners that are stuck, and sees to it that messages which wait meet one that is not."""
        runners = self._runners
        moving = 0
        for runner in list(runners.all):
            # A runner clears `stuck` itself, between two handlers.
            if runner.awake:
                if runner.seen == runner.count:
                    runner.stuck = True
                else:
                    moving += 1
            runner.seen = runner.count
        if not self._work.queue:
            self._calm_down()
            return
        now, cpu = time.monotonic(), time.process_time()
        if moving == 0:
            # Everybody is stuck: twice as many next time, so that a hundred blocking handlers run after a few ticks.
            runners.add(runners.want)
            runners.want = min(runners.want * 2, self._work.concurrency)
            self._calm = 0
        elif self._mostly_waiting(now, cpu):
            # Handlers that block for less than a tick: each runner moves on, but the interpreter is free most of the time.
            runners.want = min(runners.want * 2, self._work.concurrency)
            runners.wake()
            self._calm = 0
        else:
            self._calm_down()
        self._last = now, cpu

    def _mostly_waiting(self, now, cpu):
        """Whether the process computed for little of the time since the last look, although messages waited."""
        then, cpu_then = self._last
        return now - then < 0.1 and cpu - cpu_then < 0.6 * (now - then)

    def _calm_down(self):
        # Fewer again, bit by bit: threads that need not take turns are faster.
        self._calm += 1
        if self._calm >= _CALM_TICKS:
            self._calm = 0
            self._runners.want = max(1, self._runners.want // 2)
