"""Publishes over HTTP, from any process: `POST /_less/topics/{id}/batch`.

Each thread keeps a connection of its own, so nothing is locked, and a forked child opens new ones.
"""

import json
import os
from urllib.parse import quote

from less import _app
from less._connection import BadUrl, Broken, Connections, Unreachable, Untrusted
from less._address import NO_APP, START_IT, find
from less._errors import PublishError, from_problem

TRUST_IT = "set SSL_CERT_FILE to a file with whom to trust, PEM, and LESS_URL to a name that is in the certificate"

_connections = Connections()


def publish(topic, batch):
    """One result for each message, as the app gave them."""
    path = f"/_less/topics/{quote(topic, safe='')}/batch"
    headers = {"Content-Type": "application/json", "Less-App": _app.APP}
    key = os.environ.get("LESS_API_KEY")
    if key:
        headers["Authorization"] = f"Bearer {_header_text(key)}"
    status, body = _exchange(path, headers, b"[" + b",".join(batch) + b"]")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if 200 <= status < 300:
        return answer.get("results") if isinstance(answer, dict) else None
    raise from_problem(answer, status)


async def publish_async(topic, batch):
    """As `publish`, in a thread of the event loop's pool."""
    import asyncio  # Whoever awaits has it already; others need not wait for it.

    return await asyncio.get_running_loop().run_in_executor(None, publish, topic, batch)


def _exchange(path, headers, body):
    url = find()
    try:
        try:
            return _connections.post(url, path, headers, body)
        except Unreachable:
            # It may have started again elsewhere. Nothing was sent.
            now = find()
            if now == url:
                raise
            url = now
            return _connections.post(url, path, headers, body)
    except BadUrl as error:
        raise PublishError("urn:less:bad-url", f"`{url}` is no URL of an app: {error}", hint=error.hint) from None
    except Untrusted as error:
        raise PublishError("urn:less:untrusted", f"the app at {url} is not trusted: {error}", hint=TRUST_IT) from None
    except Unreachable as error:
        raise PublishError(NO_APP, f"no running app answers at {url}: {error}", hint=START_IT) from None
    except Broken as error:
        raise PublishError(
            "urn:less:unavailable",
            f"the app at {url} was sent the request, and then {error}; it is unknown whether the message was stored",
            hint="publish it again; with the same `idempotency_key` both times it is stored once",
        ) from None


def _header_text(key):
    if not all("!" <= char <= "~" for char in key):
        raise PublishError(
            "urn:less:wrong-api-key",
            "LESS_API_KEY has a character that no key has",
            hint="set LESS_API_KEY to the key that the app was started with",
        )
    return key
