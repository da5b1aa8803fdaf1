"""The worker's side of the socket: sends frames, and asks the app to publish."""

import asyncio
import itertools
import json
import os
import threading

from less._errors import PublishError
from less._worker.frames import LONGEST

_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Channel:
    """Threads may use it at the same time; a forked child must not."""

    def __init__(self, socket):
        self.socket = socket
        self.forked = False
        self.closed = False
        self.ending = False
        self._sending = threading.Lock()
        self._requests = itertools.count(1)
        self._waiting = {}

    def leave_to_parent(self):
        """In a forked child: the parent's socket must not stay open here, or the app would not see the parent's end."""
        self.forked = True
        self._sending = threading.Lock()
        self.socket.close()

    def send(self, frame):
        """Sends a frame."""
        # Half of a surrogate pair, in an error's text, would be no JSON for the app.
        self.send_text(_write(frame).encode("utf-8", "replace"))

    def send_last(self, frame):
        """Sends a frame, and nothing after it."""
        self.send_text(_write(frame).encode("utf-8", "replace"), last=True)

    def send_text(self, text, last=False):
        """Sends a frame that is JSON already."""
        frame = len(text).to_bytes(4, "big") + text
        with self._sending:
            if self.closed or self.forked:
                return
            self.closed = last
            try:
                self.socket.sendall(frame)
            except OSError:
                # The app is gone, and with it whoever could use what handlers do.
                os._exit(1)

    def publish(self, topic, batch):
        """Blocks until the app has answered."""
        answered = threading.Lock()
        answered.acquire()
        box = []

        def take(results):
            box.append(results)
            answered.release()

        self._ask(topic, batch, take)
        answered.acquire()
        return box[0]

    async def publish_async(self, topic, batch):
        """As `publish`, for any event loop of this process."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def take(results):
            try:
                loop.call_soon_threadsafe(lambda: future.done() or future.set_result(results))
            except RuntimeError:
                pass  # The loop was closed meanwhile: nobody waits.

        self._ask(topic, batch, take)
        return await future

    def _ask(self, topic, batch, take):
        size = sum(map(len, batch)) + len(batch) + 1024
        if size > LONGEST:
            raise PublishError(
                "urn:less:too-large", f"the message has {size} bytes, the most is {LONGEST}", status=413
            )
        if self.closed:
            raise PublishError("urn:less:unavailable", "the worker is ending; the message was not sent")
        request = next(self._requests)
        self._waiting[request] = take
        head = '{"type":"publish","request":%d,"topic":%s,"messages":[' % (request, _write(topic))
        self.send_text(head.encode("utf-8") + b",".join(batch) + b"]}")

    def published(self, request, results):
        """The app's answer."""
        take = self._waiting.pop(request, None)
        if take is not None:
            take(results)
