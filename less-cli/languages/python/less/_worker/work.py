"""The deliveries that this worker holds, and what became of them."""

import builtins
import contextvars
import os
import sys
from collections import deque

from less._context import Context, Reject, RetryAfter
from less._worker import report
from less._worker.forked import end_fork
from less._worker.monitor import Monitor
from less._worker.outcomes import Outcomes
from less._worker.runners import Runners
from less._worker.tasks import Tasks


class Work:
    """Shared by the reader, the runners or the loop, and the monitor.

    There is no lock: each step is one operation on a dict or deque, which the interpreter does not divide. A delivery is in `waiting` (and its id in
    `queue`) until somebody claims it. Who claims it puts it into `running` first, so that it is always in one of them.
    """

    def __init__(self, channel, loop, hello):
        self.channel = channel
        self.loop = loop
        self.concurrency = max(1, int(hello.get("concurrency") or 1))
        self.topic = str(hello.get("topic"))
        self.subscriber = str(hello.get("subscriber"))
        self.outcomes = Outcomes(channel)
        self.queue = deque()
        self.waiting = {}
        self.running = set()
        self.tasks = Tasks(self)
        self.call = None
        self._wake = None
        self.stopping = False
        self._exit_code = loop.create_future()
        self._monitor = None
        self.context = None

    def begin(self, handler):
        """The handler is loaded."""
        self.call = self._caller(handler)
        # What the module has set is seen by every message; what a message sets, by none but itself.
        self.context = contextvars.copy_context()
        runners = None if handler.is_async else Runners(self)
        self._monitor = Monitor(self, runners)
        self._wake = runners.wake if runners else self.tasks.wake
        self._monitor.start()

    def run(self):
        """Runs the event loop until the worker is to end; returns the exit code."""
        code = self.loop.run_until_complete(self._exit_code)
        self.tasks.close()
        return code

    def deliver(self, deliveries):
        for delivery in deliveries:
            self.waiting[delivery["id"]] = delivery
        self.queue.extend([delivery["id"] for delivery in deliveries])
        self._wake()
        self._monitor.wake()

    def claim(self, id):
        """The delivery to begin now, or None if it was cancelled meanwhile."""
        self.running.add(id)
        delivery = self.waiting.pop(id, None)
        if delivery is None:
            self.running.discard(id)
        return delivery

    def cancel(self, id):
        """Answers what it was doing: `waiting` (it is forgotten), `running` or `unknown`."""
        # Sent by the monitor: a reader that waits until the app takes something might wait for an app that waits for the reader.
        self.outcomes.answers.append({"type": "cancelled", "id": id, "state": self._cancel(id)})
        self._monitor.wake()

    def _cancel(self, id):
        if self.waiting.pop(id, None) is not None:
            return "waiting"
        if id not in self.running:
            return "unknown"
        self.tasks.cancel(id)
        return "running"

    def done(self, id):
        self.outcomes.done.append(id)
        self.running.discard(id)

    def failed(self, id, error):
        """The handler raised. Only SystemExit ends the process."""
        if self.channel.forked:
            end_fork(error)
        error = _only_leaf(error)
        if isinstance(error, SystemExit):
            self.crash(error)
            return
        if isinstance(error, Reject):
            outcome = {"id": id, "reject": report.text_of(error.reason)}
        elif isinstance(error, RetryAfter):
            outcome = {"id": id, "retry_after_ms": error.delay_ms}
        else:
            outcome = {"id": id, "error": report.handler_error(error)}
        self.outcomes.failed.append(outcome)
        self.running.discard(id)

    def crash(self, error):
        """A handler called `sys.exit`: its message stays unfinished, and the process ends as the caller wanted."""
        code = error.code
        self.outcomes.flush_all()
        self.channel.send_last({"type": "crash", "error": report.exit_error(error, "by a handler")})
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
        self.exit((code or 0) & 0xFF)

    def stop(self):
        """Nothing more will come."""
        if self.call is None:
            os._exit(0)  # The handler is still loading, and nothing is held.
        self.stopping = True
        self._monitor.wake()

    def wake_monitor(self):
        """A result waits, and what comes next may block."""
        self._monitor.wake()

    def settle(self):
        """Sends what is known; ends a stopping worker that holds nothing."""
        # A result is there before its delivery leaves `running`: looking in this order misses none.
        if self.stopping and not self.waiting and not self.running:
            self.outcomes.flush_all()
            self.exit(0)
        else:
            self.outcomes.flush()

    def exit(self, code):
        try:
            self.loop.call_soon_threadsafe(self._set_exit_code, code)
        except RuntimeError:
            pass  # The loop is closed: the worker ends already.

    def _set_exit_code(self, code):
        if not self._exit_code.done():
            self._exit_code.set_result(code)

    def _caller(self, handler):
        function, topic, subscriber = handler.function, self.topic, self.subscriber
        if not handler.takes_context:
            return lambda delivery: function(delivery["body"])
        if handler.context_by_name:
            return lambda delivery: function(delivery["body"], context=Context(delivery, topic, subscriber))
        return lambda delivery: function(delivery["body"], Context(delivery, topic, subscriber))


# Python 3.11 has groups; before, nothing is one.
_GROUP = getattr(builtins, "BaseExceptionGroup", ())


def _only_leaf(error):
    """What a TaskGroup raised, where it wraps one thing that has a meaning of its own."""
    leaf = error
    while isinstance(leaf, _GROUP) and len(leaf.exceptions) == 1:
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, (Reject, RetryAfter, SystemExit)) else error
