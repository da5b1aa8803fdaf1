"""Frames: a length of 4 bytes, big-endian, and that many bytes of JSON."""

import json

LONGEST = 64 * 1024 * 1024
_PIECE = 256 * 1024


class BadFrame(Exception):
    """What came is no frame of the protocol."""


def read_frames(socket):
    """Yields each frame's object until the socket ends."""
    buffer = bytearray()
    start = 0
    while True:
        have = len(buffer) - start
        size = int.from_bytes(buffer[start : start + 4], "big") if have >= 4 else 0
        if size > LONGEST:
            raise BadFrame(f"a frame of {size} bytes; the longest is {LONGEST}")
        if have >= 4 and have >= 4 + size:
            yield _parse(buffer[start + 4 : start + 4 + size])
            start += 4 + size
            continue
        if start:
            del buffer[:start]
            start = 0
        piece = socket.recv(_PIECE)
        if not piece:
            return
        buffer += piece


def _parse(text):
    try:
        frame = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise BadFrame("a message that is nested too deeply for Python") from None
    except ValueError as error:
        raise BadFrame(f"a frame that is no JSON: {error}") from None
    if not isinstance(frame, dict):
        raise BadFrame("a frame that is no object")
    return frame
