"""For tests of handlers: `load` one as a worker does, make a `context` for it, and see what it publishes with `recorded`. No app has to run."""

import itertools
import json
import os
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, NamedTuple, Optional

from less import _app, _publish
from less._context import Context
from less._options import encode_options
from less._worker import handler_module
from less._worker.handler import inspect_handler

__all__ = ["Published", "context", "load", "recorded"]

# This package is `.less/python/less` of its app.
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(_app.FOLDER)))
_numbers = itertools.count(1)
_loaded = {}


def load(subscriber):
    """The function `process` of `"topic/subscriber"`, or `"app:topic/subscriber"` for another app's topic, loaded as a worker loads it.

    Its module is loaded once, and is `sys.modules[process.__module__]`. Raises what the module raises.
    """
    if subscriber not in _loaded:
        folder, topic, name = _place(subscriber)
        _make_room_for(os.path.join(_ROOT, folder))
        file = f"{folder}/__init__.py"
        module = handler_module.load(_ROOT, topic, name, file)
        _loaded[subscriber] = inspect_handler(module, file).function, os.path.join(_ROOT, folder)
    return _loaded[subscriber][0]


def _place(subscriber):
    app, colon, rest = subscriber.rpartition(":")
    topic, slash, name = rest.partition("/")
    above = f"less/external_topics/{app}" if colon else "less/topics"
    folder = f"{above}/{topic}/{name}"
    if not slash or not os.path.isfile(os.path.join(_ROOT, folder, "__init__.py")):
        there = _subscribers(above, f"{app}:" if colon else "")
        raise ValueError(
            f"there is no subscriber `{subscriber}` in Python{_app.nearest_hint(subscriber, there)}"
            '\nhint: write it as "topic/subscriber", as `less list` shows them'
        )
    return folder, topic, name


def _subscribers(above, prefix):
    found = []
    for folder, _, files in os.walk(os.path.join(_ROOT, above)):
        parts = os.path.relpath(folder, os.path.join(_ROOT, above)).split(os.sep)
        if len(parts) == 2 and "__init__.py" in files:
            found.append(prefix + "/".join(parts))
    return found


def _make_room_for(folder):
    """Workers are processes: what is beside another handler does not hide what has the same name beside this one."""
    others = tuple(other + os.sep for _, other in _loaded.values())
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        first = os.path.join(folder, name.partition(".")[0])
        if file.startswith(others) and (os.path.isfile(f"{first}.py") or os.path.isdir(first)):
            del sys.modules[name]


def context(
    *,
    message_id=None,
    topic="topic",
    subscriber="subscriber",
    attempt=1,
    published_at=None,
    key=None,
    attributes=None,
    traceparent=None,
):
    """A Context for a handler. A message id of its own, the first attempt, published now, unless it is said otherwise."""
    # What no message can have is refused here as where it is published.
    encode_options(key, None, attributes, None, traceparent)
    at = published_at or datetime.now(timezone.utc)
    delivery = {
        "message_id": message_id or f"test-{next(_numbers)}",
        "attempt": attempt,
        "published_at": round(at.timestamp() * 1_000),
        "key": key,
        "attributes": dict(attributes or {}),
        "traceparent": traceparent,
    }
    return Context(delivery, topic, subscriber)


class Published(NamedTuple):
    """A message that was published inside of `recorded`; `message` as subscribers would get it, from JSON."""

    topic: str
    message: Any
    key: Optional[str] = None
    delay: Optional[timedelta] = None
    attributes: Optional[Dict[str, str]] = None
    idempotency_key: Optional[str] = None
    traceparent: Optional[str] = None


@contextmanager
def recorded():
    """Inside of it what this process publishes goes to no app, but to the list that it gives, in order; from all its threads.

    Messages and options are checked as always, except for the message type, which the app checks.
    """
    before = _publish._channel
    recorder = _Recorder()
    _publish.set_channel(recorder)
    try:
        yield recorder.published
    finally:
        _publish.set_channel(before)


class _Recorder:
    """A way to the app that keeps what it is given."""

    def __init__(self):
        self.published = []
        self._ids = {}

    def publish(self, topic, batch):
        return [self._one(topic, json.loads(item)) for item in batch]

    async def publish_async(self, topic, batch):
        return self.publish(topic, batch)

    def _one(self, topic, item):
        delay, key = item.get("delay_ms"), item.get("idempotency_key")
        self.published.append(
            Published(
                topic,
                item["body"],
                item.get("key"),
                None if delay is None else timedelta(milliseconds=delay),
                item.get("attributes"),
                key,
                item.get("traceparent"),
            )
        )
        new = f"published-{len(self.published)}"
        id = new if key is None else self._ids.setdefault((topic, key), new)
        return {"message_id": id, "duplicate": id != new}
