"""`topics`: one attribute for each topic of the app."""

from less import _app, _publish


class UnknownTopic(AttributeError, KeyError):
    """The app has no such topic."""

    # KeyError would print the text's repr.
    __str__ = Exception.__str__


class Topic:
    """A topic. Its messages are kept until every subscriber has handled them."""

    __slots__ = ("_id",)

    def __init__(self, id):
        self._id = id

    @property
    def id(self):
        """The topic's id: its folder's name."""
        return self._id

    def publish(
        self, message, *, key=None, delay=None, attributes=None, idempotency_key=None, traceparent=None
    ):
        """Returns a Receipt once the message is on stable storage; raises PublishError.

        `key`: messages of one key are handled in order (1 to 128 bytes). `delay`: not delivered before (`"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`, a
        number of seconds, a timedelta; at most 365 days). `attributes`: at most 10 texts by name. `idempotency_key`: stored once however often it
        is published within 24 hours (1 to 128 bytes). `traceparent`: passed to handlers (at most 256 bytes).
        """
        item = _publish.item(message, key, delay, attributes, idempotency_key, traceparent)
        return _publish.one(_publish.send(self._id, [item]))

    async def publish_async(
        self, message, *, key=None, delay=None, attributes=None, idempotency_key=None, traceparent=None
    ):
        """As `publish`, and does not block the event loop."""
        item = _publish.item(message, key, delay, attributes, idempotency_key, traceparent)
        return _publish.one(await _publish.send_async(self._id, [item]))

    def publish_many(
        self, messages, *, key=None, delay=None, attributes=None, idempotency_key=None, traceparent=None
    ):
        """Returns a Receipt for each message, in their order; raises PublishManyError if any was not accepted.

        The options are for all of them; `key` and `idempotency_key` may be functions that take a message and return its key. Nothing is sent if a
        message can't be written as JSON; otherwise it is not all or nothing.
        """
        items = _publish.items(messages, key, delay, attributes, idempotency_key, traceparent)
        return _publish.all_of(_publish.send_batches(self._id, items))

    async def publish_many_async(
        self, messages, *, key=None, delay=None, attributes=None, idempotency_key=None, traceparent=None
    ):
        """As `publish_many`, and does not block the event loop."""
        items = _publish.items(messages, key, delay, attributes, idempotency_key, traceparent)
        return _publish.all_of(await _publish.send_batches_async(self._id, items))

    def __repr__(self):
        return f"<topic {self._id}>"

    def __reduce__(self):
        return (_topic, (self._id,))

    def __eq__(self, other):
        return isinstance(other, Topic) and other._id == self._id

    def __hash__(self):
        return hash((Topic, self._id))


class Topics:
    """The app's topics: `topics.user_created`, or `topics["class"]` for names that Python reserves."""

    # Nothing but dunder names here: any other could be a topic's.
    __slots__ = ("__by_id",)

    def __init__(self, ids):
        self.__by_id = {id: Topic(id) for id in ids}

    def __getattr__(self, name):
        by_id = object.__getattribute__(self, "_Topics__by_id")
        try:
            return by_id[name]
        except (KeyError, TypeError):
            raise UnknownTopic(_unknown(name, by_id)) from None

    def __getitem__(self, name):
        return self.__getattr__(name)

    def __contains__(self, name):
        return name in self.__by_id

    def __iter__(self):
        return iter(self.__by_id.values())

    def __len__(self):
        return len(self.__by_id)

    def __dir__(self):
        return sorted([*object.__dir__(self), *self.__by_id])

    def __repr__(self):
        return f"<topics {', '.join(self.__by_id)}>"

    def __reduce__(self):
        return (_topics, ())


def _unknown(name, by_id):
    meant = _app.nearest_hint(name, by_id)
    have = "" if meant else f"; it has {', '.join(f'`{id}`' for id in by_id) or 'none'}"
    return f"app `{_app.APP}` has no topic `{name}`{meant or have}\nhint: a new topic is known after `less build`"


def _topics():
    return topics


def _topic(id):
    return topics[id]


topics = Topics(_app.TOPICS)
