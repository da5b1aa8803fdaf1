"""Frames of docs/worker-protocol.md over a socket that blocks."""

import json


class Frames:
    """What comes, frame by frame."""

    def __init__(self, socket):
        self.socket = socket
        self.held = bytearray()

    def read(self):
        """The next frame; nothing at the end."""
        while True:
            if len(self.held) >= 4:
                end = 4 + int.from_bytes(self.held[:4], "big")
                if len(self.held) >= end:
                    frame = json.loads(self.held[4:end])
                    del self.held[:end]
                    return frame
            chunk = self.socket.recv(1 << 18)
            if not chunk:
                return None
            self.held += chunk


def pack(frame):
    """A frame's bytes."""
    text = json.dumps(frame, separators=(",", ":")).encode()
    return len(text).to_bytes(4, "big") + text


def send(socket, frame):
    """Sends a frame, and waits until the socket has taken it."""
    socket.sendall(pack(frame))
