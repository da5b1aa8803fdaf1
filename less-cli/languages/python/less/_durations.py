"""Durations as people write them: `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`, a number of seconds, a timedelta."""

import re
from datetime import timedelta

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TEXT = re.compile(r"([0-9]{1,18})\s*(ms|s|m|h|d)", re.ASCII)
_LONGEST = 365 * 86_400_000
_ALLOWED = 'write "500ms", "30s", "5m", "2h", "7d", a number of seconds or a timedelta, from 0 to 365 days'


def to_millis(value, name):
    """Whole milliseconds. Raises TypeError or ValueError that names `name`, what came, and what is allowed."""
    if isinstance(value, str):
        match = _TEXT.fullmatch(value)
        millis = int(match[1]) * _UNITS[match[2]] if match else None
    elif isinstance(value, timedelta):
        millis = -(-value // timedelta(milliseconds=1))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        # NaN and infinity are no number of milliseconds; both fail the comparison.
        millis = round(value * 1_000) if abs(value) <= _LONGEST else None
    else:
        raise TypeError(f"{name}: a {type(value).__name__} is no duration; {_ALLOWED}")
    if millis is None or not 0 <= millis <= _LONGEST:
        raise ValueError(f"{name}: {value!r} is out of range; {_ALLOWED}")
    return millis
