"""Ends a child that a handler forked and that came back out of the handler: it may neither go on with the parent's work nor report it."""

import os
import sys


def end_fork(error=None):
    """As the child would have ended at the end of its program."""
    if isinstance(error, SystemExit):
        code = error.code
        os._exit(code & 0xFF if isinstance(code, int) else int(code is not None))
    if error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit(0 if error is None else 1)
