"""What a handler can know of the delivery it handles, and how it ends one other than by returning or failing."""

from datetime import datetime, timedelta, timezone

from less._durations import to_millis

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Reject(Exception):
    """Raised by a handler: the message becomes a dead letter at once, with this reason."""

    reason = ""

    def __init__(self, reason=""):
        super().__init__(reason)
        self.reason = reason


class RetryAfter(Exception):
    """Raised by a handler: the next attempt comes after `delay` instead of after the usual backoff.

    `delay`: `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`, a number of seconds or a timedelta, from 0 to 365 days. The attempt counts.
    """

    delay_ms = 0

    def __init__(self, delay):
        super().__init__(delay)
        self.delay_ms = to_millis(delay, "retry_after")


class Context:
    """A delivery's circumstances: the optional second argument of `process`."""

    __slots__ = ("_delivery", "_topic", "_subscriber")

    def __init__(self, delivery, topic, subscriber):
        self._delivery = delivery
        self._topic = topic
        self._subscriber = subscriber

    @property
    def message_id(self):
        """The message's id; the same for every subscriber and every attempt."""
        return self._delivery["message_id"]

    @property
    def topic(self):
        """The topic's id."""
        return self._topic

    @property
    def subscriber(self):
        """The subscriber's name."""
        return self._subscriber

    @property
    def attempt(self):
        """Which attempt this is, from 1."""
        return self._delivery["attempt"]

    @property
    def published_at(self):
        """When the message was accepted: a datetime in UTC."""
        return _EPOCH + timedelta(milliseconds=self._delivery["published_at"])

    @property
    def key(self):
        """The ordering key it was published with, or None."""
        return self._delivery.get("key")

    @property
    def attributes(self):
        """The attributes it was published with: a dict of one's own."""
        return dict(self._delivery.get("attributes") or ())

    @property
    def traceparent(self):
        """The W3C trace parent it was published with, or None."""
        return self._delivery.get("traceparent")

    def reject(self, reason=""):
        """Makes the message a dead letter at once. Does not return."""
        raise Reject(reason)

    def retry_after(self, delay):
        """Asks for the next attempt after `delay` instead of after the usual backoff. Does not return."""
        raise RetryAfter(delay)

    def __repr__(self):
        return f"<context of {self.message_id}, attempt {self.attempt}, {self._topic}/{self._subscriber}>"
