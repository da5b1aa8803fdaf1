"""Messages as JSON text, and what to say of one that is none."""

import dataclasses
import json
import math

from less._errors import PublishError

NOT_SERIALIZABLE = "urn:less:not-serializable"


def _as_plain(value):
    # One level at a time: the encoder goes on inside, with its own check for cycles, and copies nothing.
    if not isinstance(value, type):
        if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if callable(getattr(type(value), "model_dump", None)):
            return value.model_dump(mode="json")  # Pydantic's models know how to write what they hold.
        if hasattr(type(value), "__attrs_attrs__"):
            return {field.name: getattr(value, field.name) for field in type(value).__attrs_attrs__}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


# Not ASCII alone: half of a surrogate pair then fails to encode, instead of becoming an escape that the app can't read.
_write = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_plain
).encode
_PLAIN = (str, int, float, type(None), dict, list, tuple)
quote = json.JSONEncoder(ensure_ascii=False).encode


def encode_message(message, index=None):
    """The message as JSON in UTF-8. PublishError of type `urn:less:not-serializable` says what has no form in JSON, and where."""
    try:
        return _write(message).encode("utf-8")
    except RecursionError:
        reason, pointer = "it is nested too deeply", None
    except Exception as error:
        reason, pointer = _explained(message) or (str(error) or type(error).__name__, None)
    which = "the message" if index is None else f"message {index}"
    at = f" at `{pointer}`" if pointer else ""
    raise PublishError(
        NOT_SERIALIZABLE,
        f"{which} can't be written as JSON{at}: {reason}",
        pointer=pointer,
        hint="use dict, list, str, int, float, bool, None, dataclasses, attrs classes and pydantic models; write dates, UUIDs and decimals as text, such as `value.isoformat()` or `str(value)`, and other objects as a dict of what they hold",
    )


def _explained(message):
    try:
        return _explain(message)
    except Exception:
        return None  # The message's own code failed: then the first error says more.


def _explain(message):
    """The first value that has no form in JSON, and a pointer to it: an iterative walk, in the order of writing."""
    stack = [(message, "", ())]
    while stack:
        value, pointer, parents = stack.pop()
        try:
            plain = value if isinstance(value, _PLAIN) else _as_plain(value)
        except TypeError as error:
            return str(error), pointer
        reason = _scalar_reason(plain)
        if reason:
            return reason, pointer
        children = _children(plain)
        if children is None:
            continue
        if id(value) in parents:
            return "it contains itself", pointer
        below = (*parents, id(value))
        if len(below) > 900:
            return "it is nested too deeply", None
        for key, child in reversed(children):
            if not isinstance(key, (str, int, float, bool, type(None))):
                return f"a {type(key).__name__} is no key of a JSON object", pointer
            if isinstance(key, str) and _broken(key):
                return f"the key {key!r} has half of a surrogate pair, which is no text", pointer
            stack.append((child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}", below))
    return None


def _children(value):
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    return None


def _scalar_reason(value):
    if isinstance(value, str):
        return f"{value[:40]!r} has half of a surrogate pair, which is no text" if _broken(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{float(value)} is no number in JSON"
    return None


def _broken(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
