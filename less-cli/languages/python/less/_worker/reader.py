"""The thread that reads what the app sends. It runs no handler and sends nothing, so that it always reads."""

import os
import sys

from less._worker.frames import BadFrame


class Reader:
    def __init__(self, channel, frames, work):
        self._channel = channel
        self._frames = frames
        self._work = work

    def run(self):
        """Reads until the socket ends; then the process ends too, at once."""
        try:
            for frame in self._frames:
                self._take(frame)
        except BadFrame as error:
            text = f"the worker can't read {error}"
            print(f"error: {text}", file=sys.stderr, flush=True)
            self._channel.send({"type": "crash", "error": text})
        except OSError:
            pass
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0 if self._channel.ending else 1)

    def _take(self, frame):
        kind = frame.get("type")
        if kind == "deliver":
            self._work.deliver(frame["deliveries"])
        elif kind == "published":
            self._channel.published(frame["request"], frame["results"])
        elif kind == "cancel":
            self._work.cancel(frame["id"])
        elif kind == "stop":
            self._work.stop()
        else:
            raise BadFrame(f"a frame of type {kind!r}")
