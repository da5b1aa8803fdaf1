"""What `less build` wrote down of the app: its topics and the names of its message types."""

import json
import os

FOLDER = os.path.dirname(os.path.abspath(__file__))


def _read():
    path = os.path.join(FOLDER, "app.json")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise ImportError(f"can't read {path}: {error}\nhint: write it with `less build`") from None


_app = _read()
APP = _app.get("app", "")
TOPICS = _app.get("topics", {})
TYPES = frozenset(_app.get("types", ()))


def nearest(name, names):
    """The name that was probably meant, or None."""
    import difflib

    by_folded = {other.lower(): other for other in names}
    found = difflib.get_close_matches(str(name).lower(), list(by_folded), n=1)
    return by_folded[found[0]] if found else None


def nearest_hint(name, names):
    """`, did you mean …?`, or nothing."""
    found = None if str(name).startswith("__") else nearest(name, names)
    return f", did you mean `{found}`?" if found else ""
