import builtins as _builtins
import datetime as _dt
import typing as _t

import typing_extensions as _te

_M = _t.TypeVar("_M")
_Delay: _te.TypeAlias = _t.Union[str, float, _dt.timedelta]
_Key: _te.TypeAlias = _t.Union[str, _t.Callable[[_M], _t.Optional[str]], None]

class Topic(_t.Generic[_M]):
    """A topic. For type checkers alone: at run time there are only `topics` and its attributes."""

    @property
    def id(self) -> str:
        """The topic's id: its folder's name."""
    def publish(
        self,
        message: _M,
        *,
        key: _t.Optional[str] = None,
        delay: _t.Optional[_Delay] = None,
        attributes: _t.Optional[_t.Mapping[str, str]] = None,
        idempotency_key: _t.Optional[str] = None,
        traceparent: _t.Optional[str] = None,
    ) -> Receipt:
        """Returns a Receipt once the message is on stable storage; raises PublishError.

        `key`: messages of one key are handled in order (1 to 128 bytes). `delay`: not delivered before (`"500ms"`, `"30s"`, `"5m"`, `"2h"`,
        `"7d"`, a number of seconds, a timedelta; at most 365 days). `attributes`: at most 10. `idempotency_key`: stored once however often it is
        published within 24 hours (1 to 128 bytes). `traceparent`: passed to handlers.
        """
    def publish_many(
        self,
        messages: _t.Iterable[_M],
        *,
        key: _Key[_M] = None,
        delay: _t.Optional[_Delay] = None,
        attributes: _t.Optional[_t.Mapping[str, str]] = None,
        idempotency_key: _Key[_M] = None,
        traceparent: _t.Optional[str] = None,
    ) -> _t.List[Receipt]:
        """Returns a Receipt for each message, in their order; raises PublishManyError if any was not accepted. Not atomic."""
    async def publish_async(
        self,
        message: _M,
        *,
        key: _t.Optional[str] = None,
        delay: _t.Optional[_Delay] = None,
        attributes: _t.Optional[_t.Mapping[str, str]] = None,
        idempotency_key: _t.Optional[str] = None,
        traceparent: _t.Optional[str] = None,
    ) -> Receipt:
        """As `publish`, and does not block the event loop."""
    async def publish_many_async(
        self,
        messages: _t.Iterable[_M],
        *,
        key: _Key[_M] = None,
        delay: _t.Optional[_Delay] = None,
        attributes: _t.Optional[_t.Mapping[str, str]] = None,
        idempotency_key: _Key[_M] = None,
        traceparent: _t.Optional[str] = None,
    ) -> _t.List[Receipt]:
        """As `publish_many`, and does not block the event loop."""

class Receipt(_t.NamedTuple):
    """The message is on stable storage."""

    message_id: str
    duplicate: bool
    """Whether the idempotency key was seen before: nothing new was stored, and the id is the first message's."""

class Context:
    """A delivery's circumstances: the optional second argument of `process`."""

    @property
    def message_id(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def subscriber(self) -> str: ...
    @property
    def attempt(self) -> int:
        """From 1."""
    @property
    def published_at(self) -> _dt.datetime:
        """In UTC."""
    @property
    def key(self) -> _t.Optional[str]: ...
    @property
    def attributes(self) -> _t.Dict[str, str]:
        """A copy."""
    @property
    def traceparent(self) -> _t.Optional[str]: ...
    def reject(self, reason: str = "") -> _t.NoReturn:
        """Makes the message a dead letter at once."""
    def retry_after(self, delay: _Delay) -> _t.NoReturn:
        """Asks for the next attempt after this long: `"5m"`, seconds or a timedelta. The attempt counts."""

class Reject(Exception):
    """Raised by a handler: the message becomes a dead letter at once."""

    reason: str
    def __init__(self, reason: str = "") -> None: ...

class RetryAfter(Exception):
    """Raised by a handler: the next attempt comes after this long."""

    delay_ms: int
    def __init__(self, delay: _Delay) -> None: ...

class PublishError(Exception):
    """A message was not accepted. Nothing was stored, unless the text says that this is unknown."""

    type: str
    """Which kind, such as `urn:less:does-not-fit`."""
    detail: str
    status: _t.Optional[int]
    pointer: _t.Optional[str]
    """Where in the message, as a JSON pointer."""
    nearest: _t.Optional[str]
    """The topic that was probably meant."""
    hint: _t.Optional[str]

class PublishManyError(PublishError):
    """Not every message of a `publish_many` was accepted."""

    results: _t.List[_t.Union[Receipt, PublishError]]
    """One for each message, in their order."""
