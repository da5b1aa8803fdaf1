"""What publishing returns."""

from typing import NamedTuple


class Receipt(NamedTuple):
    """The message is on stable storage."""

    message_id: str
    """The message's id."""
    duplicate: bool
    """Whether the idempotency key was seen before: nothing new was stored, and the id is the first message's."""
