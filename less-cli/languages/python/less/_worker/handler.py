"""Decides, once, how `process` is called."""

import difflib
import inspect
from typing import Any, Callable, NamedTuple

_HINT = "hint: write `def process(message):` or `def process(message, context):`"
_OTHER_NAMES = ("handler", "handle", "main", "run", "Process", "process_message", "subscriber")


class Unfit(Exception):
    """The module has no `process` that can be called."""


class Handler(NamedTuple):
    """A handler, and how it is called."""

    function: Callable[..., Any]
    is_async: bool
    takes_context: bool
    context_by_name: bool


def inspect_handler(module, file):
    """The module's `process`. Raises Unfit, whose text is for the user."""
    process = getattr(module, "process", None)
    if process is None:
        raise Unfit(f"there is no function `process`\n  --> {file}\n{_near_miss(module)}")
    if not callable(process):
        raise Unfit(f"`process` is no function but a {type(process).__name__}\n  --> {file}\n{_HINT}")
    place = _place(process, file)
    if _any_of(process, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        raise Unfit(
            f"`process` has a `yield`: calling it would run none of it\n  --> {place}\nhint: do the work without `yield`"
        )
    try:
        signature = inspect.signature(process)
    except (TypeError, ValueError):
        # Functions of C say nothing; a message is what every handler takes.
        return Handler(process, False, False, False)
    takes_context, by_name = _context(signature, place)
    return Handler(process, _any_of(process, inspect.iscoroutinefunction), takes_context, by_name)


def _context(signature, place):
    positional, by_name, required = [], False, []
    for parameter in signature.parameters.values():
        optional = parameter.default is not parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append((parameter.name, optional))
        elif parameter.kind == parameter.VAR_POSITIONAL:
            positional += [("message", True)] if not positional else []
        elif parameter.kind == parameter.KEYWORD_ONLY:
            by_name = by_name or parameter.name == "context"
            required += [] if optional or parameter.name == "context" else [parameter.name]
    takes = f"`process{signature}`"
    if not positional:
        raise Unfit(f"{takes} takes no message\n  --> {place}\n{_HINT}")
    if required:
        raise Unfit(f"{takes} needs `{required[0]}`, which nobody gives it\n  --> {place}\n{_HINT}")
    needed = sum(not optional for _, optional in positional)
    if needed > 2:
        raise Unfit(
            f"{takes} needs {needed} arguments, and gets a message and a context\n  --> {place}\n{_HINT}"
        )
    # A second parameter with a default is somebody's own, unless it is called `context`.
    second = len(positional) > 1 and (not positional[1][1] or positional[1][0] == "context")
    return second or by_name, by_name and not second


def _any_of(process, *tests):
    """Asks about the function that is called, behind partials, bound methods and objects with `__call__`."""
    while hasattr(process, "func") and hasattr(process, "keywords"):
        process = process.func
    call = (
        process
        if inspect.isroutine(process) or inspect.isclass(process)
        else getattr(type(process), "__call__", process)
    )
    return any(test(process) or test(call) for test in tests)


def _place(process, file):
    code = getattr(inspect.unwrap(process), "__code__", None)
    if code is not None and code.co_filename.endswith(file):
        return f"{file}:{code.co_firstlineno}"
    return file


def _near_miss(module):
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("__")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
    ]
    found = difflib.get_close_matches("process", own, n=1) or [name for name in _OTHER_NAMES if name in own]
    return f"hint: there is `{found[0]}`: call it `process`" if found else _HINT
