"""The options of publishing, checked before anything is sent."""

from collections.abc import Mapping

from less._durations import to_millis
from less._json import quote


def encode_options(key, delay, attributes, idempotency_key, traceparent):
    """What follows a message's body on the wire: `,"key":"…"`, or nothing."""
    parts = []
    if key is not None:
        parts.append(f',"key":{_text("key", key, 1, 128)}')
    if delay is not None:
        parts.append(f',"delay_ms":{to_millis(delay, "delay")}')
    if attributes:
        parts.append(f',"attributes":{_attributes(attributes)}')
    elif attributes is not None and not isinstance(attributes, Mapping):
        raise TypeError(_no_mapping(attributes))
    if idempotency_key is not None:
        parts.append(f',"idempotency_key":{_text("idempotency_key", idempotency_key, 1, 128)}')
    if traceparent is not None:
        parts.append(f',"traceparent":{_text("traceparent", traceparent, 1, 256)}')
    return "".join(parts)


def _attributes(attributes):
    if not isinstance(attributes, Mapping):
        raise TypeError(_no_mapping(attributes))
    if len(attributes) > 10:
        raise ValueError(f"attributes: there are {len(attributes)}, the most is 10")
    items = []
    for name, value in attributes.items():
        written = _text("attributes: a name", name, 1, 256)
        items.append(f'{written}:{_text(f"attributes: the value of `{name}`", value)}')
    return "{" + ",".join(items) + "}"


def _no_mapping(value):
    return f"attributes: a mapping of at most 10 names to texts is expected, not a {type(value).__name__}"


def _text(name, value, least=0, most=None):
    allowed = f"{least} to {most} bytes of text" if most else "text"
    if not isinstance(value, str):
        raise TypeError(f"{name}: {allowed} expected, not a {type(value).__name__}")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError(f"{name}: {value!r} has half of a surrogate pair, which is no text") from None
    if most and not least <= size <= most:
        raise ValueError(f"{name}: it has {size} bytes, {allowed} are allowed")
    return quote(value)
