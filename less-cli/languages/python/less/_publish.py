"""Sends messages: over the worker's socket inside a worker, over HTTP anywhere else. The way is chosen at each call."""

import os

from less._errors import PublishError, PublishManyError, from_problem
from less._json import encode_message
from less._options import encode_options
from less._receipt import Receipt

MOST_MESSAGES = 10_000
MOST_BYTES = 8 * 1024 * 1024

_channel = None
_channel_pid = None


def set_channel(channel):
    """Makes this the way to the app, in this process alone: a forked child has the object too, but not the right to use it."""
    global _channel, _channel_pid
    _channel, _channel_pid = channel, os.getpid()


def _way():
    if _channel is not None and _channel_pid == os.getpid():
        return _channel
    from less import _http

    return _http


def item(message, key, delay, attributes, idempotency_key, traceparent, index=None):
    """A message as both ways send it."""
    options = encode_options(key, delay, attributes, idempotency_key, traceparent)
    return b'{"body":' + encode_message(message, index) + options.encode("utf-8") + b"}"


def items(messages, key, delay, attributes, idempotency_key, traceparent):
    """All of them, so that a bad one is known before any is sent."""
    if isinstance(messages, (str, bytes, dict)):
        raise TypeError(f"messages: a list of messages is expected, not a {type(messages).__name__}")
    if idempotency_key is not None and not callable(idempotency_key):
        raise TypeError(
            "idempotency_key: with publish_many it is a function that takes a message and returns its key; one key for all would store the first alone"
        )
    return [
        item(
            message,
            key(message) if callable(key) else key,
            delay,
            attributes,
            idempotency_key(message) if idempotency_key else None,
            traceparent,
            index,
        )
        for index, message in enumerate(messages)
    ]


def batches(items):
    """Pieces of at most 10,000 messages and about 8 MiB."""
    batch, size = [], 0
    for item in items:
        if batch and (len(batch) == MOST_MESSAGES or size + len(item) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item) + 1
    if batch:
        yield batch


def send(topic, batch):
    return _outcomes(_way().publish(topic, batch), len(batch))


async def send_async(topic, batch):
    return _outcomes(await _way().publish_async(topic, batch), len(batch))


def send_batches(topic, items):
    outcomes = []
    for batch in batches(items):
        try:
            outcomes += send(topic, batch)
        except PublishError as error:
            return outcomes + _rest(error, len(batch), len(items) - len(outcomes))
    return outcomes


async def send_batches_async(topic, items):
    outcomes = []
    for batch in batches(items):
        try:
            outcomes += await send_async(topic, batch)
        except PublishError as error:
            return outcomes + _rest(error, len(batch), len(items) - len(outcomes))
    return outcomes


def _rest(error, failed, missing):
    """A batch failed as a whole: it would be the same for those after it, which are not sent."""
    unsent = PublishError(
        error.type,
        "it was not sent, because sending an earlier one failed",
        status=error.status,
        hint=error.hint,
    )
    return [error] * failed + [unsent] * (missing - failed)


def _outcomes(results, count):
    if not isinstance(results, list) or len(results) != count:
        raise PublishError(
            "urn:less:unavailable",
            "the app's answer has not one result for each message; it is unknown which messages were stored",
            hint="run `less build`, so that app and package are of the same version",
        )
    return [_outcome(result) for result in results]


def _outcome(result):
    id = result.get("message_id") if isinstance(result, dict) else None
    if isinstance(id, str):
        return Receipt(id, result.get("duplicate") is True)
    return from_problem(result.get("error") if isinstance(result, dict) else None)


def one(outcomes):
    if isinstance(outcomes[0], PublishError):
        raise outcomes[0]
    return outcomes[0]


def all_of(outcomes):
    if any(isinstance(outcome, PublishError) for outcome in outcomes):
        raise PublishManyError(outcomes)
    return outcomes
