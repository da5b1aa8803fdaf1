"""Why a message was not accepted."""

_HINTS = {
    "urn:less:no-api-key": "set LESS_API_KEY to the key that the app was started with",
    "urn:less:wrong-api-key": "set LESS_API_KEY to the key that the app was started with",
    "urn:less:busy": "publish it again a little later, or fewer at once",
    "urn:less:unavailable": "publish it again; with the same `idempotency_key` both times it is stored once",
    "urn:less:full": "make room on the disk of the app's data folder, then publish it again",
    "urn:less:bad-character": "leave that character out",
    "urn:less:wrong-app": "set LESS_URL to where the app that is meant runs",
    "urn:less:unknown-host": "add the name to `[http] hosts` in less.toml, or use the app's address in LESS_URL",
}

# How the limit that was met gets larger.
_LARGER = {
    "max_message": "; or raise `max_message` in the topic's topic.toml, up to \"1MiB\"",
    "max_body": "; or raise `max_body` in `[http]` of less.toml",
}


class PublishError(Exception):
    """A message was not accepted. Nothing was stored, unless the text says that this is unknown.

    `type` (such as `urn:less:does-not-fit`), `status` (of HTTP, where there is one), `detail` (what went wrong), `pointer` (where in the message, RFC
    6901), `nearest` (the topic that was probably meant), `hint` (the next step); each but `type` and `detail` may be None.
    """

    def __init__(self, type, detail, *, status=None, pointer=None, nearest=None, hint=None):
        super().__init__(detail if hint is None else f"{detail}\nhint: {hint}")
        self.type = type
        self.detail = detail
        self.status = status
        self.pointer = pointer
        self.nearest = nearest
        self.hint = hint

    def __reduce__(self):
        extra = {name: getattr(self, name) for name in ("status", "pointer", "nearest", "hint")}
        return (_rebuild, (type(self), self.type, self.detail, extra))


def _rebuild(kind, type, detail, extra):
    return kind(type, detail, **extra)


class PublishManyError(PublishError):
    """Not every message of a `publish_many` was accepted.

    `results` has a Receipt or a PublishError for each message, in their order. The other attributes are those of the first error.
    """

    def __init__(self, results):
        self.results = list(results)
        errors = [result for result in self.results if isinstance(result, PublishError)]
        first = errors[0]
        super().__init__(
            first.type,
            f"{len(errors)} of {len(self.results)} messages were not accepted; the first error: {first.detail}",
            status=first.status,
            pointer=first.pointer,
            nearest=first.nearest,
            hint=first.hint,
        )

    def __reduce__(self):
        return (PublishManyError, (self.results,))


def from_problem(problem, status=None):
    """The error that a problem document (RFC 9457) stands for; it may be anything at all."""
    if not isinstance(problem, dict):
        problem = {}
    number = problem.get("status")
    status = number if isinstance(number, int) else status
    kind = _text(problem, "type") or "about:blank"
    nearest = _text(problem, "nearest")
    pointer = _text(problem, "pointer")
    detail = (
        _text(problem, "detail") or _text(problem, "title") or f"the app answered {status} without a reason"
    )
    # The app's text already says where; what came through a proxy may not.
    if pointer and pointer not in detail:
        detail = f"{detail} at `{pointer}`"
    return PublishError(
        kind,
        detail,
        status=status,
        pointer=pointer,
        nearest=nearest,
        hint=_hint(kind, status, pointer, nearest, _text(problem, "setting")),
    )


def _text(problem, name):
    value = problem.get(name)
    return value if isinstance(value, str) else None


def _hint(kind, status, pointer, nearest, setting):
    if kind in _HINTS:
        return _HINTS[kind]
    if status in (401, 403):
        return _HINTS["urn:less:no-api-key"]
    if kind == "urn:less:unknown-topic":
        meant = f"use `topics.{nearest}`, or " if nearest else ""
        return f"{meant}run `less build` and start the app again"
    if status == 422:
        return (
            f"change the message at `{pointer}`" if pointer else "change the message to fit the topic's type"
        )
    if status == 413:
        return "store what is large elsewhere, and publish where it is" + _LARGER.get(setting, "")
    return None
