import datetime as _dt
import typing as _t

from less import Context

def load(subscriber: str) -> _t.Callable[..., _t.Any]:
    """The function `process` of `"topic/subscriber"`, or `"app:topic/subscriber"` for another app's topic, loaded as a worker loads it.

    Its module is loaded once, and is `sys.modules[process.__module__]`. Raises what the module raises.
    """

def context(
    *,
    message_id: _t.Optional[str] = None,
    topic: str = "topic",
    subscriber: str = "subscriber",
    attempt: int = 1,
    published_at: _t.Optional[_dt.datetime] = None,
    key: _t.Optional[str] = None,
    attributes: _t.Optional[_t.Mapping[str, str]] = None,
    traceparent: _t.Optional[str] = None,
) -> Context:
    """A Context for a handler. A message id of its own, the first attempt, published now, unless it is said otherwise."""

class Published(_t.NamedTuple):
    """A message that was published inside of `recorded`; `message` as subscribers would get it, from JSON."""

    topic: str
    message: _t.Any
    key: _t.Optional[str] = None
    delay: _t.Optional[_dt.timedelta] = None
    attributes: _t.Optional[_t.Dict[str, str]] = None
    idempotency_key: _t.Optional[str] = None
    traceparent: _t.Optional[str] = None

def recorded() -> _t.ContextManager[_t.List[Published]]:
    """Inside of it what this process publishes goes to no app, but to the list that it gives, in order; from all its threads.

    Messages and options are checked as always, except for the message type, which the app checks.
    """
