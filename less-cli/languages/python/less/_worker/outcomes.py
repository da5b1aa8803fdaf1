"""Collects what is to be sent: outcomes, many in one frame, and answers to `cancel`."""

import threading
from collections import deque

_AT_MOST = 5_000


class Outcomes:
    def __init__(self, channel):
        self._channel = channel
        self._lock = threading.Lock()
        self.done = deque()
        self.failed = deque()
        self.answers = deque()

    def __bool__(self):
        """Whether something waits to be sent."""
        return bool(self.done or self.failed or self.answers)

    def flush_all(self):
        """As `flush`, and what another thread has taken and not sent yet is sent when this returns: nothing may be sent after it."""
        self.flush()
        with self._lock:
            pass

    def flush(self):
        """Sends everything that has been added before the call, or leaves it to the thread that is sending it."""
        while self:
            with self._lock:
                for answer in _take(self.answers):
                    self._channel.send(answer)
                done = _take(self.done)
                failed = _take(self.failed)
                if failed:
                    self._channel.send({"type": "results", "done": done, "failed": failed})
                elif done:
                    # The usual case; a list of numbers is the same in Python and JSON.
                    self._channel.send_text(b'{"type":"results","done":%b}' % repr(done).encode("ascii"))


def _take(items):
    return [items.popleft() for _ in range(min(len(items), _AT_MOST))]
