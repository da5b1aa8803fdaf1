"""`topics`, options, and what can't be written as JSON: all that happens before anything is sent."""

import copy
import dataclasses
import datetime
import decimal
import enum
import inspect
import os
import pickle
import subprocess
import sys
import unittest
import uuid
from typing import NamedTuple
from unittest import mock

from tests.client import less
from tests.fake_app import Project

import less._publish

topics = less.topics


class Names(unittest.TestCase):
    def test_topics_are_attributes_and_items(self):
        self.assertEqual(topics.user_created.id, "user_created")
        self.assertIs(topics["user_created"], topics.user_created)
        self.assertIs(getattr(topics, "class"), topics["class"])
        self.assertEqual([topic.id for topic in topics], ["user_created", "other", "class"])
        self.assertTrue("other" in topics and "another" not in topics and len(topics) == 3)

    def test_an_unknown_topic_names_the_nearest(self):
        expected = "app `shop` has no topic `user_craeted`, did you mean `user_created`?\nhint: a new topic is known after `less build`"
        for get in (lambda: topics.user_craeted, lambda: topics["user_craeted"]):
            with self.assertRaises(AttributeError) as caught:
                get()
            self.assertEqual(str(caught.exception), expected)
        with self.assertRaises(KeyError):
            topics[5]
        with self.assertRaisesRegex(
            AttributeError, "no topic `zzz`; it has `user_created`, `other`, `class`"
        ):
            topics.zzz

    def test_python_may_look_at_them(self):
        self.assertFalse(hasattr(topics, "nope"))
        self.assertTrue({"user_created", "other", "class"} <= set(dir(topics)))
        for value in (topics, topics.other):
            self.assertIs(pickle.loads(pickle.dumps(value)), value)
            self.assertIs(copy.copy(value), value)
            self.assertIs(copy.deepcopy(value), value)
            inspect.getmembers(value)
            self.assertFalse(inspect.isawaitable(value))
            inspect.unwrap(value)
            repr(value), bool(value), mock.create_autospec(value)
        inspect.signature(topics.other.publish)
        with self.assertRaises(AttributeError):
            topics.other = 5

    def test_message_types_are_dicts(self):
        from less import UserCreated, UserCreated_Address

        self.assertIs(UserCreated, dict)
        self.assertEqual(UserCreated_Address(street="x"), {"street": "x"})
        self.assertIn("UserCreated", dir(less))
        with self.assertRaisesRegex(ImportError, "cannot import name 'UserCraeted'"):
            from less import UserCraeted  # noqa: F401
        with self.assertRaisesRegex(AttributeError, "no attribute 'UserCraeted', did you mean `UserCreated`"):
            less.UserCraeted

    def test_a_package_without_its_app_says_how_to_write_it(self):
        other = Project()
        self.addCleanup(other.remove)
        os.remove(os.path.join(other.root, ".less/python/less/app.json"))
        run = subprocess.run(
            [sys.executable, "-c", "import less"],
            cwd=other.root,
            env={"PYTHONPATH": ".less/python"},
            stderr=subprocess.PIPE,
        )
        self.assertIn(b"hint: write it with `less build`", run.stderr)


class Model:
    """What a model of pydantic has."""

    def __init__(self, plain):
        self.plain = plain

    def model_dump(self, mode="python"):
        assert mode == "json"
        return self.plain


class Field(NamedTuple):
    name: str


class Fields:
    """What an instance of attrs has."""

    __attrs_attrs__ = (Field("x"), Field("y"))

    def __init__(self, x=None, y=None):
        self.x, self.y = x, y


class Sent(unittest.TestCase):
    """With a way that keeps what it gets."""

    def setUp(self):
        self.batches = []

        def publish(topic, batch):
            self.batches.append((topic, batch))
            return [{"message_id": f"m{len(self.batches)}", "duplicate": True} for _ in batch]

        patch = mock.patch.object(less._publish, "_way", lambda: mock.Mock(publish=publish))
        patch.start()
        self.addCleanup(patch.stop)

    def sent(self, message, **options):
        topics.other.publish(message, **options)
        return self.batches[-1][1][0].decode()

    def test_a_receipt_has_id_and_duplicate(self):
        receipt = topics.other.publish(1)
        self.assertEqual(receipt, less.Receipt("m1", True))
        self.assertEqual((receipt.message_id, receipt.duplicate), ("m1", True))

    def test_options_as_the_app_reads_them(self):
        self.assertEqual(self.sent(1), '{"body":1}')
        self.assertEqual(
            self.sent(
                "☃",
                key='k"\n',
                delay="5m",
                attributes={"a": "ü", "b": ""},
                idempotency_key="i",
                traceparent="00-1",
            ),
            '{"body":"☃","key":"k\\"\\n","delay_ms":300000,"attributes":{"a":"ü","b":""},"idempotency_key":"i","traceparent":"00-1"}',
        )

    def test_delays(self):
        for delay, millis in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("365d", 31_536_000_000),
            ("1 s", 1000),
            (0, 0),
            (1.5, 1500),
            (0.1, 100),
            (365 * 86400, 31_536_000_000),
            (datetime.timedelta(minutes=1), 60_000),
            (datetime.timedelta(microseconds=1), 1),
        ]:
            self.assertEqual(self.sent(1, delay=delay), '{"body":1,"delay_ms":%d}' % millis)

    def test_bad_options_say_name_and_range(self):
        cases = [
            (ValueError, "delay", delay, "0 to 365 days")
            for delay in (
                "5",
                "s",
                "-1s",
                "1.5s",
                "1w",
                "٣s",
                "1s ",
                "366d",
                "9" * 30 + "s",
                -1,
                float("nan"),
                float("inf"),
                1e300,
                10**400,
                datetime.timedelta(days=366),
                datetime.timedelta(-1),
            )
        ]
        cases += [
            (TypeError, "delay", delay, "0 to 365 days") for delay in (True, b"5s", [], decimal.Decimal(1))
        ]
        for name, most in (("key", 128), ("idempotency_key", 128), ("traceparent", 256)):
            cases += [
                (ValueError, name, text, f"1 to {most} bytes")
                for text in ("", "x" * (most + 1), "ü" * (most // 2 + 1))
            ]
            cases += [(TypeError, name, value, f"1 to {most} bytes") for value in (5, b"x", ["x"], len)]
            cases += [(ValueError, name, "\ud800", "surrogate")]
        cases += [
            (ValueError, "attributes", {str(n): "" for n in range(11)}, "the most is 10"),
            (ValueError, "attributes", {"": ""}, "1 to 256"),
            (ValueError, "attributes", {"x" * 257: ""}, "1 to 256"),
        ]
        cases += [
            (TypeError, "attributes", value, text)
            for value, text in (
                ([], "mapping"),
                ("ab", "mapping"),
                (0, "mapping"),
                ({"a": 1}, "value of `a`"),
                ({1: "a"}, "1 to 256"),
            )
        ]
        for kind, name, value, text in cases:
            with self.subTest(f"{name}={value!r}"[:80]), self.assertRaisesRegex(kind, f"(?s)^{name}.*{text}"):
                topics.other.publish(1, **{name: value})
        self.assertEqual(self.batches, [])

    def test_what_has_a_form_in_json_is_written(self):
        @dataclasses.dataclass
        class Address:
            street: str

        @dataclasses.dataclass
        class User:
            name: str
            addresses: list

        class Colour(str, enum.Enum):
            RED = "red"

        for message, text in [
            (
                {"m": Model({"n": [1]}), "root": Model(7)},
                '{"m":{"n":[1]},"root":7}',
            ),
            (
                [Fields(x=1, y=Fields(x=None, y=Model("z")))],
                '[{"x":1,"y":{"x":null,"y":"z"}}]',
            ),
            (
                User("a", [Address("b"), {"c": Address("d")}]),
                '{"name":"a","addresses":[{"street":"b"},{"c":{"street":"d"}}]}',
            ),
            ({1: True, None: 2, 1.5: (3,)}, '{"1":true,"null":2,"1.5":[3]}'),
            (Colour.RED, '"red"'),
            ("\x00\u2028\x7f", '"\\u0000\u2028\x7f"'),
            (2**100, str(2**100)),
        ]:
            self.assertEqual(self.sent(message), f'{{"body":{text}}}')

    def test_what_has_none_is_named_with_its_place(self):
        cycle = {"a": []}
        cycle["a"].append(cycle)
        deep = []
        for _ in range(100_000):
            deep = [deep]

        @dataclasses.dataclass
        class Holder:
            value: object

        for message, said, pointer in [
            (object(), "a object has no form in JSON", ""),
            ({"x": Model}, "a type has no form in JSON", "/x"),
            ({"x": Model({"y": b"z"})}, "a bytes has no form in JSON", "/x/y"),
            ({"x": Fields(y={1})}, "a set has no form in JSON", "/x/y"),
            ({"u": [1, {"~/": datetime.datetime.now()}]}, "a datetime has no form in JSON", "/u/1/~0~1"),
            ({"u": uuid.uuid4()}, "a UUID has no form in JSON", "/u"),
            ([decimal.Decimal(1)], "a Decimal has no form in JSON", "/0"),
            ({"x": b"bytes"}, "a bytes has no form in JSON", "/x"),
            ({"x": {1, 2}}, "a set has no form in JSON", "/x"),
            ([0.0, float("nan")], "nan is no number in JSON", "/1"),
            ({"x": float("-inf")}, "-inf is no number in JSON", "/x"),
            (cycle, "it contains itself", "/a/0"),
            (deep, "it is nested too deeply", None),
            ({"x": {(1, 2): 3}}, "a tuple is no key of a JSON object", "/x"),
            ({"x": "half \ud83d"}, "has half of a surrogate pair", "/x"),
            ({"\ud83d": 1}, "has half of a surrogate pair", ""),
            (Holder([Holder(b"")]), "a bytes has no form in JSON", "/value/0/value"),
            (Holder, "a type has no form in JSON", ""),
        ]:
            with self.subTest(said), self.assertRaises(less.PublishError) as caught:
                topics.other.publish(message)
            error = caught.exception
            self.assertEqual((error.type, error.pointer), ("urn:less:not-serializable", pointer))
            self.assertIn(said, str(error))
            self.assertIn("\nhint: ", str(error))
        self.assertEqual(self.batches, [])

    def test_many_messages_are_split_by_number_and_by_size(self):
        receipts = topics.other.publish_many(range(25_001))
        self.assertEqual([len(batch) for _, batch in self.batches], [10_000, 10_000, 5_001])
        self.assertEqual([receipt.message_id for receipt in receipts[9_999:10_001]], ["m1", "m2"])
        self.assertEqual(
            b"".join(b"".join(batch) for _, batch in self.batches),
            b"".join(b'{"body":%d}' % n for n in range(25_001)),
        )
        self.batches.clear()
        topics.other.publish_many(["x" * 3_000_000] * 5 + ["y" * 9_000_000, 1])
        self.assertEqual([len(batch) for _, batch in self.batches], [2, 2, 1, 1, 1])
        self.batches.clear()
        self.assertEqual(topics.other.publish_many([]), [])
        self.assertEqual(self.batches, [])

    def test_keys_may_come_from_messages(self):
        topics.other.publish_many(
            ({"id": n} for n in "ab"), key=lambda m: m["id"], idempotency_key=lambda m: "i" + m["id"]
        )
        self.assertEqual(self.batches[0][1][1], b'{"body":{"id":"b"},"key":"b","idempotency_key":"ib"}')
        topics.other.publish_many([1, 2], key="same", delay="1s")
        self.assertEqual(self.batches[1][1][1], b'{"body":2,"key":"same","delay_ms":1000}')
        with self.assertRaisesRegex(
            TypeError, "^idempotency_key: .* one key for all would store the first alone"
        ):
            topics.other.publish_many([1, 2], idempotency_key="x")
        for one in ({"a": 1}, "text", b"bytes"):
            with self.assertRaisesRegex(TypeError, "^messages: a list of messages is expected"):
                topics.other.publish_many(one)

    def test_nothing_is_sent_if_a_message_can_not_be_written(self):
        with self.assertRaisesRegex(less.PublishError, "^message 20000 can't be written as JSON at `/x`"):
            topics.other.publish_many([1] * 20_000 + [{"x": object()}])
        self.assertEqual(self.batches, [])

    def test_errors_can_be_pickled(self):
        error = less.PublishError("urn:less:x", "d", status=422, pointer="/a", nearest="n", hint="h")
        for one in (error, less.PublishManyError([less.Receipt("m", False), error])):
            other = pickle.loads(pickle.dumps(one))
            self.assertEqual(str(other), str(one))
            self.assertEqual((type(other), other.status, other.pointer), (type(one), 422, "/a"))
