"""What is right is accepted; every line that ends in `refused` has an error, and no other line."""

from datetime import datetime, timedelta
from typing import List, Optional, Union

import less
from less import (
    Class,
    Context,
    NoneMessage,
    PublishError,
    PublishManyError,
    Receipt,
    Reject,
    RetryAfter,
    Topic,
    Tree,
    UserCreated,
    UserCreated_Address,
    UserCreated_Contact,
    topics,
)
from less.external_topics import class_
from less.external_topics.ums import ContextMessage, UserCreated as TheirUserCreated, UserCreated_Address as TheirAddress

address: UserCreated_Address = {"street": "Rua 1"}
contact: UserCreated_Contact = {"kind": "mail", "to": "ada@example.com"}
user: UserCreated = {"user_id": 1, "email": "ada@example.com", "role": "admin", "address": address, "contact": contact}


def good() -> None:
    receipt: Receipt = topics.user_created.publish(user, key="ada", delay="5m", attributes={"a": "b"}, idempotency_key="x")
    message_id: str = receipt.message_id
    again: bool = receipt.duplicate
    born: UserCreated = {"user_id": 2, "email": "x", "role": "guest", "address": address, "contact": contact, "born": None, "friends": [user]}
    many: List[Receipt] = topics.user_created.publish_many([user, born], delay=timedelta(minutes=5), key=lambda message: message["email"])
    topics.user_created.publish_many((one for one in [user]), delay=0.25)
    topics.anything.publish({"any": ["json", 1, None]})
    topics["class"].publish(hostile)
    topics["user_created"].publish(user)
    getattr(topics, "class").publish(hostile)
    topics.context.publish({"topic": "x"})
    topics.UserMoved.publish({"to": "Lisbon"})
    topics.nothing.publish({})
    # Types that would hide what the client's are made of have other names.
    none: NoneMessage = {"to": "x"}
    topics.promise.publish({"to": "x"})
    topics.none.publish(none)
    topics.exception.publish({"to": "x"})
    topics.record.publish({"to": "x"})
    topics.Key.publish({"to": "x"})
    topics.Key.publish({"to": 1})  # a wrong type where the name is another: refused
    topics.nameless.publish({"": "x", "a": 1})
    topic: Topic[UserCreated] = topics.user_created
    print(message_id, again, many, topic.id, len(topics), "class" in topics, [one.id for one in topics])


async def good_async() -> None:
    receipt: Receipt = await topics.user_created.publish_async(user)
    many: List[Receipt] = await topics.user_created.publish_many_async([user])
    print(receipt, many)


def depth(node: Tree) -> int:
    if node["kind"] == "node":
        return 1 + max(depth(node["left"]), depth(node["right"]))
    return 0


def process(message: UserCreated, context: Context) -> None:
    where: str = message["contact"]["to"] if message["contact"]["kind"] == "mail" else message["contact"]["number"]
    born: Optional[str] = message.get("born")
    at: datetime = context.published_at + timedelta(seconds=context.attempt)
    print(where, born, at, context.message_id, context.topic, context.subscriber, context.key, context.attributes["a"], context.traceparent)
    if message["role"] == "guest":
        context.reject("no guests")
    if context.attempt > 3:
        context.retry_after("5m")
    if "name" not in message:
        raise Reject("no name")
    raise RetryAfter(timedelta(seconds=1))


def process_theirs(message: TheirUserCreated, context: Context) -> ContextMessage:
    theirs: TheirAddress = message["address"]
    user_id: str = message["user_id"]
    only: class_.UserCreated = {"only": theirs["street"]}
    return {"topic": only["only"] + user_id + context.topic}


def handled(error: Exception) -> List[Union[str, int, None]]:
    if isinstance(error, PublishManyError):
        return [one.type if isinstance(one, PublishError) else one.message_id for one in error.results]
    if isinstance(error, PublishError):
        return [error.type, error.status, error.pointer, error.nearest, error.hint]
    return []


tree: Tree = {
    "kind": "node",
    "left": {"kind": "leaf", "value": None, "either": "nothing"},
    "right": {"kind": "leaf", "value": {"x": 1}, "either": {"some": {"kind": "leaf"}}},
    "all": [[], [[]]],
}
hostile: Class = less.topics.anything.publish_many([])  # type: ignore
quoted: str = hostile["a\"b"] + hostile["class"] + hostile["__proto__"] + hostile["größe"] + hostile["a\nb"]


def bad(context: Context) -> None:
    topics.user_craeted.publish(user)  # a misspelt topic: refused
    topics["user_craeted"]  # a misspelt topic: refused
    topics.user_created.publish({"user_id": "1", "email": "x", "role": "admin", "address": address, "contact": contact})  # a wrong field type: refused
    topics.user_created.publish({"user_id": 1, "email": "x", "role": "admin", "address": address})  # a missing field: refused
    topics.user_created.publish({"user_id": 1, "email": "x", "role": "admin", "address": address, "contact": contact, "emial": "x"})  # an unknown field: refused
    topics.user_created.publish({"user_id": 1, "email": "x", "role": "root", "address": address, "contact": contact})  # none of the enum's: refused
    topics.user_created.publish({"user_id": 1, "email": "x", "role": "admin", "address": address, "contact": {"kind": "phone", "to": "x"}})  # another variant's field: refused
    topics.user_created.publish({"user_id": 1, "email": "x", "role": "admin", "address": address, "contact": contact, "name": None})  # not nullable: refused
    topics.user_created.publish(user, dealy="5m")  # an unknown option: refused
    topics.user_created.publish_many([user, {}])  # a wrong message among others: refused
    topics.nothing.publish({"a": 1})  # an unknown field of an empty object: refused
    context.attempt = 2  # read-only: refused
    print(hostile["klass"])  # an unknown field: refused


def bad_theirs(message: TheirUserCreated) -> UserCreated:
    number: int = message["user_id"]  # the other app's type: refused
    print(number, message["emial"])  # an unknown field: refused
    topics.user_created.publish(message)  # the other app's message: refused
    print(class_.topics)  # nobody publishes there: refused
    return message  # two types of one name: refused
