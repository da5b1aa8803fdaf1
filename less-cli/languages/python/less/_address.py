"""Finds the running app: `LESS_URL`, else the address file that it keeps in its data folder while it runs."""

import json
import os

from less import _app
from less._errors import PublishError

NO_APP = "urn:less:no-app"
START_IT = "start it with `less dev`, or set LESS_URL to where it runs"
NOT_YOURS = "an app's data folder is its user's alone: set LESS_URL to where it runs"
_FILE = "address.json"


def find():
    """The app's URL. Read anew at each call, so that an app that started again elsewhere is found."""
    url = os.environ.get("LESS_URL")
    if url:
        return url
    data = os.environ.get("LESS_DATA")
    problem = None
    for folder in [data] if data else _folders():
        path = os.path.join(folder, _FILE)
        try:
            written = _read(path)
        except PermissionError:
            problem = problem or PublishError(NO_APP, f"can't read {path}, where the running app's address is", hint=NOT_YOURS)
            continue
        if written is None:
            continue
        if _has_ended(written):
            problem = problem or PublishError(
                NO_APP,
                f"no running app answers at {written['url']}: process {written['pid']}, which has written {path}, has ended",
                hint=START_IT,
            )
            continue
        return written["url"]
    where = f"no {_FILE} in {data} (LESS_DATA)" if data else f"no .less/data/{_FILE} here or above"
    raise problem or PublishError(NO_APP, f"no running app was found: {where}", hint=START_IT)


def _folders():
    try:
        folder = os.getcwd()
    except OSError:
        folder = None  # It was removed.
    while folder:
        yield os.path.join(folder, ".less", "data")
        above = os.path.dirname(folder)
        folder = above if above != folder else None
    # This package is `.less/python/less` of its app.
    yield os.path.join(os.path.dirname(os.path.dirname(_app.FOLDER)), "data")


def _read(path):
    """What the file says, if this app has written it here. Another one's is there where the working folder is that one's, or it is a copy."""
    try:
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
            url = written["url"]
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return None
    folder = os.stat(os.path.dirname(path)).st_ino
    own = written.get("app", _app.APP) == _app.APP and written.get("folder", folder) == folder
    return written if own and isinstance(url, str) and url else None


def _has_ended(written):
    """Whether the process that wrote it can be seen to have ended: it was killed, and another program may listen there by now."""
    pid = written.get("pid")
    # A container's numbers of processes are its own.
    if not isinstance(pid, int) or pid <= 0 or written.get("pid_namespace") != _own_namespace():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # It is somebody else's.
    return False


def _own_namespace():
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
