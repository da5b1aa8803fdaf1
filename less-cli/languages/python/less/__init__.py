"""Publishes to the app's topics: `from less import topics; topics.user_created.publish(message)`.

Inside a worker messages go to the app over the worker's socket, anywhere else over HTTP. The names of message types (`from less import UserCreated`)
are there for type checkers; at run time each of them is `dict`.
"""

from less import _app
from less._context import Context, Reject, RetryAfter
from less._errors import PublishError, PublishManyError
from less._receipt import Receipt
from less._topics import topics

__all__ = ["topics", "Context", "PublishError", "PublishManyError", "Receipt", "Reject", "RetryAfter"]
__all__ += [name for name in _app.TYPES if name not in __all__]

for _public in (Context, PublishError, PublishManyError, Receipt, Reject, RetryAfter):
    _public.__module__ = "less"  # Tracebacks then show the name that is imported.


def __getattr__(name):
    if name in _app.TYPES:
        return dict
    raise AttributeError(f"module 'less' has no attribute {name!r}{_app.nearest_hint(name, __all__)}")


def __dir__():
    return sorted([*globals(), *_app.TYPES])
