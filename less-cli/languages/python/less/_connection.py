"""HTTP/1.1 connections that are kept, one for each thread."""

import http.client
import os
import select
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

CONNECT_TIMEOUT = 2.0
ANSWER_TIMEOUT = 30.0
# The app closes idle connections after longer than this; one that it closes while a request is under way leaves that request's outcome unknown.
LONGEST_IDLE = 5.0


class Unreachable(Exception):
    """No connection: nothing was sent."""


class Untrusted(Unreachable):
    """The certificate is not trusted, or is for another host."""


class BadUrl(Unreachable):
    """There is nowhere to connect to."""

    def __init__(self, problem, hint="such as http://127.0.0.1:4100"):
        super().__init__(problem)
        self.hint = hint


class Broken(Exception):
    """The connection failed after sending began."""


class Connections(threading.local):
    """The thread's connection to where it sent last. No proxy is ever used."""

    def __init__(self):
        self._kept = None

    def post(self, url, path, headers, body):
        """Status and body of the answer. Raises Unreachable or Broken."""
        kept, self._kept = self._kept, None
        if kept is not None and not kept.usable(url):
            kept.close()
            kept = None
        connection = kept or _Connection(url)
        try:
            status, answer, keep = connection.exchange(path, headers, body)
        except BaseException:
            connection.close()
            raise
        if keep:
            self._kept = connection
        else:
            connection.close()
        return status, answer


class _Connection:
    _socket = None

    def __init__(self, url):
        secure, host, port, self._prefix, self._host = _parse(url)
        self._url = url
        self._pid = os.getpid()
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT)
        except (OSError, UnicodeError) as error:
            raise Unreachable(_reason(error, CONNECT_TIMEOUT)) from None
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)
            self._socket.settimeout(ANSWER_TIMEOUT)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Untrusted(error.verify_message.rstrip(".")) from None
        except OSError as error:
            self.close()
            raise Unreachable(_reason(error, CONNECT_TIMEOUT)) from None
        self._used = time.monotonic()

    def usable(self, url):
        """Whether a request may go over it. After a fork it is the parent's; readable means closed, or an answer that nobody asked for."""
        idle = time.monotonic() - self._used
        return url == self._url and self._pid == os.getpid() and idle <= LONGEST_IDLE and not self._readable()

    def _readable(self):
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    def exchange(self, path, headers, body):
        """Status, body, and whether the connection can be kept."""
        lines = [f"POST {self._prefix}{path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        try:
            try:
                # One write: with two, the second waits for the first one's acknowledgement where the other side delays it.
                self._socket.sendall(head + body)
            except (BrokenPipeError, ConnectionResetError):
                # Such as 413 before the whole body was read: the reason may have arrived.
                if not self._readable():
                    raise
            answer = http.client.HTTPResponse(self._socket, method="POST")
            try:
                answer.begin()
                text = answer.read()
                return answer.status, text, not answer.will_close
            finally:
                answer.close()
                self._used = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            raise Broken(_reason(error, ANSWER_TIMEOUT)) from None

    def __del__(self):
        # Its thread has ended.
        if self._socket is not None:
            self.close()

    def close(self):
        # Of a parent's connection only this process's descriptor; the parent keeps its own.
        try:
            if self._pid != os.getpid() and isinstance(self._socket, ssl.SSLSocket):
                socket.close(self._socket.detach())
            else:
                self._socket.close()
        except OSError:
            pass


def _parse(url):
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"this is no URL: {error}") from None
    if "://" not in url:
        raise BadUrl("`http://` or `https://` is missing", f"http://{url}")
    if parts.scheme not in ("http", "https"):
        raise BadUrl("it must begin with http:// or https://")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise BadUrl("it must be http://host:port, or https, with a path at most")
    if not url.isascii() or any(char <= " " for char in url.strip()):
        raise BadUrl("it has characters that no URL has")
    secure = parts.scheme == "https"
    return secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/"), parts.netloc


def _reason(error, timeout):
    # ssl's timeouts are the socket's.
    if isinstance(error, socket.timeout):
        return f"there was no answer within {timeout:.0f} s"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "it closed the connection within its answer"
    if isinstance(error, http.client.HTTPException):
        return f"it answered with something that is no HTTP ({type(error).__name__})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
