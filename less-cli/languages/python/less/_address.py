"""Finds the running app: `LESS_URL`, else the address file that it keeps in its data folder while it runs."""

import json
import os

from less import _app
from less._errors import PublishError

NO_APP = "urn:less:no-app"
START_IT = "start it with `less dev`, or set LESS_URL to where it runs"
_FILE = "address.json"


def find():
    """The app's URL. Read anew at each call, so that an app that started again elsewhere is found."""
    url = os.environ.get("LESS_URL")
    if url:
        return url
    data = os.environ.get("LESS_DATA")
    for folder in [data] if data else _folders():
        url = _read(os.path.join(folder, _FILE))
        if url:
            return url
    where = f"no {_FILE} in {data} (LESS_DATA)" if data else f"no .less/data/{_FILE} here or above"
    raise PublishError(NO_APP, f"no running app was found: {where}", hint=START_IT)


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
    try:
        with open(path, encoding="utf-8") as file:
            url = json.load(file)["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) and url else None
