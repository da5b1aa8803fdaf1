"""Errors as the app stores and shows them: what, then where, without the worker's own frames."""

import builtins
import linecache
import os
import re
import sys
import traceback

import less
from less import _app

LONGEST = 2_000
LONGEST_LOAD = 8_000
_OWN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
# Python 3.11 has groups; before, nothing is one.
_GROUP = getattr(builtins, "BaseExceptionGroup", ())
_FIRST_FRAMES, _LAST_FRAMES = 4, 12


def handler_error(error):
    """`ValueError: no such user`, then where; at most 2,000 bytes."""
    try:
        return _cut("\n".join(_lines(error)), LONGEST)
    except BaseException:
        # Such as no memory left: what is left to say is the kind.
        return type(error).__name__


def load_error(error):
    """Why a handler's module can't be loaded."""
    if isinstance(error, SystemExit):
        return exit_error(error, "while the handler was loaded")
    return _cut("\n".join(_lines(error)), LONGEST_LOAD) + _hint(error)


def text_of(value):
    """A reason as text, at most 2,000 bytes; whatever it is."""
    try:
        return _cut(str(value), LONGEST)
    except BaseException:
        return f"<the text of a {type(value).__name__} can't be made: __str__ failed>"


def exit_error(error, when):
    """A SystemExit in the words of who wrote it."""
    try:
        code = "" if error.code is None else _cut(repr(error.code), 200)
    except BaseException:
        code = "..."
    return _cut("\n".join([f"`sys.exit({code})` was called {when}", *frames(error)]), LONGEST)


def _hint(error):
    if not isinstance(error, ImportError):
        return ""
    if str(error).startswith("attempted relative import beyond"):
        return "\nhint: the subscriber's folder is the top of its package: put what several share into less/shared, and import it by its name"
    if error.name == "less":
        wanted = re.match(r"cannot import name '(\w+)'", str(error))
        return (
            f"\nhint: `less` has no `{wanted[1]}`{_app.nearest_hint(wanted[1], less.__all__)}"
            if wanted
            else ""
        )
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    name = error.name.partition(".")[0]
    if not re.fullmatch(r"\w+", name):
        return ""
    if sys.prefix != sys.base_prefix:
        return f"\nhint: install it with `{_shown(sys.executable)} -m pip install {name}`, or put a module `{name}` into less/shared"
    return f"\nhint: install it with `python3 -m venv .venv && .venv/bin/pip install {name}`, or put a module `{name}` into less/shared"


def _lines(error):
    lines, seen, introduction = [], set(), ""
    while error is not None and id(error) not in seen and len(seen) < 10:
        seen.add(id(error))
        head = _head(error)
        lines.append(introduction + head[0])
        lines += head[1:]
        lines += frames(error)
        for inner in error.exceptions[:5] if isinstance(error, _GROUP) else ():
            lines += ["  of these: " + _head(inner)[0], *frames(inner)]
        if error.__cause__ is not None:
            error, introduction = error.__cause__, "caused by "
        elif not error.__suppress_context__:
            error, introduction = error.__context__, "while handling "
        else:
            error = None
    return lines


def _head(error):
    """The exception itself: one line, or several for a SyntaxError."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ in ("builtins", "__main__")
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    if f"{kind.__module__}.".startswith(("less_handler_", "asyncio.", "less.")):
        name = kind.__qualname__
    if isinstance(error, SyntaxError):
        return _syntax_error(error, name)
    text = text_of(error)
    return f"{name}: {text}".split("\n") if text else [name]


def _syntax_error(error, name):
    lines = "".join(traceback.format_exception_only(type(error), error)).rstrip("\n").split("\n")
    where = [line.replace(str(error.filename), _shown(str(error.filename)), 1) for line in lines[:-1]]
    return [f"{name}: {error.msg}", *where]


def frames(error):
    """Where it was raised: the user's frames."""
    found = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if not path.startswith((_OWN, "<frozen ")):
            found.append((path, line, frame.f_code.co_name))
    cut = len(found) - _FIRST_FRAMES - _LAST_FRAMES
    if cut > 1:
        kept = [_frame(*frame) for frame in found[:_FIRST_FRAMES]]
        return [*kept, f"  ... {cut} more", *(_frame(*frame) for frame in found[-_LAST_FRAMES:])]
    return [_frame(*frame) for frame in found]


def _frame(path, line, function):
    source = linecache.getline(path, line).strip()
    text = f'  File "{_shown(path)}", line {line}, in {function}'
    return f"{text}\n    {source}" if source else text


def _shown(path):
    """A path as the user wrote it: relative to the app's folder."""
    return path[len(_root) :] if path.startswith(_root) else path


_root = os.getcwd().rstrip(os.sep) + os.sep


def root_is(folder):
    """The app's folder, as the app writes it."""
    global _root
    _root = folder.rstrip(os.sep) + os.sep


def _cut(text, longest):
    data = text.encode("utf-8", "replace")
    if len(data) <= longest:
        return data.decode("utf-8")
    return data[: longest - 4].decode("utf-8", "ignore") + "\n..."
