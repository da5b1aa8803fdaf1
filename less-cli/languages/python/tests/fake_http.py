"""The app's HTTP side: answers batches, and does to connections what the test wants."""

import json
import socket
import threading


class FakeHttp:
    """`answer(request) -> (status, body)`, or None to close the connection without an answer. Requests are kept in `requests`."""

    def __init__(self, answer=None, address=("127.0.0.1", 0), context=None, keep=True):
        self.listener = socket.create_server(
            address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.answer = answer or accept_all
        self.context = context
        self.keep = keep
        self.requests = []
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.close_connections()

    def close_connections(self):
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
            except OSError:
                return

    def _serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            data = b""
            while True:
                reads = 0
                while b"\r\n\r\n" not in data:
                    data, reads = self._more(connection, data), reads + 1
                head, _, data = data.partition(b"\r\n\r\n")
                lines = head.decode("ascii").split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
                while len(data) < int(headers["content-length"]):
                    data, reads = self._more(connection, data), reads + 1
                request = {
                    "line": lines[0],
                    "headers": headers,
                    "body": json.loads(data),
                    "reads": reads,
                    "connection": connection,
                }
                data = b""
                self.requests.append(request)
                answer = self.answer(request)
                if answer is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                status, body = answer
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                keep = "" if self.keep else "Connection: close\r\n"
                connection.sendall(
                    f"HTTP/1.1 {status} X\r\n{keep}Content-Length: {len(body)}\r\n\r\n".encode() + body
                )
        except (OSError, ValueError):
            connection.close()

    def _more(self, connection, data):
        piece = connection.recv(1 << 20)
        if not piece:
            raise OSError("closed")
        return data + piece


def accept_all(request):
    return 200, {
        "results": [
            {"message_id": f"m{index}", "duplicate": False} for index, _ in enumerate(request["body"])
        ]
    }


def free_port():
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
