"""What a handler returned, where that is not the end of it."""

from inspect import isasyncgen, isawaitable, isgenerator


def goes_on(result):
    """Whether it is to be awaited. Raises TypeError for a generator: its message would count as done, and nothing would have happened."""
    if isgenerator(result) or isasyncgen(result):
        # Generators of before `async def` are awaited.
        if isawaitable(result):
            return True
        raise TypeError(
            "the handler returned a generator, of which nothing was run\n"
            "hint: do the work without `yield`, or run it to its end: `for part in …: pass`"
        )
    return isawaitable(result)
