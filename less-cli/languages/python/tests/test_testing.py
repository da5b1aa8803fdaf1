"""`less.testing`: what users test their handlers with."""

import os
import subprocess
import sys
import textwrap
import unittest

from tests.fake_app import Project

FILES = {
    "less/topics/user_created/audit/__init__.py": """
        from helper import x
        from shared import y
        from less import topics
        def send(): topics.other.publish(1)
        def process(message, context): return (x, y, message, context.attempt)
    """,
    "less/topics/user_created/audit/helper.py": "x = 'audit'\n",
    "less/topics/user_created/other/__init__.py": """
        from . import helper
        import helper as same
        async def process(message): return (helper.x, same.x, message)
    """,
    "less/topics/user_created/other/helper.py": "x = 'other'\n",
    "less/topics/user_created/broken/__init__.py": "def proces(message): pass\n",
    "less/external_topics/friends/posted/count/__init__.py": "def process(message): return message\n",
    "less/shared/shared.py": "y = 'shared'\n",
}
BEFORE = """
import asyncio, sys, threading
from datetime import datetime, timedelta, timezone
from less import PublishError, Reject, RetryAfter, topics
from less.testing import Published, context, load, recorded

def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError("nothing was raised")
"""


class Testing(unittest.TestCase):
    def passes(self, program):
        project = Project(FILES)
        self.addCleanup(project.remove)
        run = subprocess.run(
            [sys.executable, "-c", BEFORE + textwrap.dedent(program)],
            cwd=project.root,
            env={**os.environ, "PYTHONPATH": ".less/python"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual((run.returncode, run.stdout), (0, ""))

    def test_a_handler_is_loaded_as_a_worker_loads_it(self):
        self.passes("""
            process = load("user_created/audit")
            assert process(7, context(attempt=2)) == ("audit", "shared", 7, 2)
            assert load("user_created/audit") is process
            assert sys.modules[process.__module__].y == "shared"
            assert load("friends:posted/count")(1) == 1
        """)

    def test_handlers_with_files_of_the_same_name_are_loaded_beside_each_other(self):
        self.passes("""
            first, second = load("user_created/audit"), load("user_created/other")
            assert asyncio.run(second(7)) == ("other", "other", 7)
            assert first(7, context()) == ("audit", "shared", 7, 1)
        """)

    def test_a_handler_that_is_not_there_or_that_no_worker_could_load_is_told(self):
        self.passes("""
            error = raises(ValueError, load, "user_created/audti")
            assert str(error) == (
                "there is no subscriber `user_created/audti` in Python, did you mean `user_created/audit`?\\n"
                'hint: write it as "topic/subscriber", as `less list` shows them'
            ), error
            assert "did you mean `friends:posted/count`?" in str(raises(ValueError, load, "friends:posted/cuont"))
            assert str(raises(Exception, load, "user_created/broken")).startswith("there is no function `process`")
        """)

    def test_a_context_has_what_a_test_gives_it_and_defaults(self):
        self.passes("""
            c = context()
            assert (c.message_id, c.topic, c.subscriber, c.attempt, c.key, c.attributes, c.traceparent) == (
                "test-1", "topic", "subscriber", 1, None, {}, None)
            assert datetime.now(timezone.utc) - c.published_at < timedelta(minutes=1)
            at = datetime(2024, 1, 1, tzinfo=timezone.utc)
            c = context(message_id="m", topic="t", subscriber="s", attempt=3, published_at=at, key="k", attributes={"a": "b"}, traceparent="00")
            assert (c.message_id, c.topic, c.subscriber, c.attempt, c.published_at, c.key, c.attributes, c.traceparent) == (
                "m", "t", "s", 3, at, "k", {"a": "b"}, "00")
            assert raises(Reject, c.reject, "why").reason == "why"
            assert raises(RetryAfter, c.retry_after, "5m").delay_ms == 300_000
            raises(TypeError, context, attributes={"a": 1})
            raises(TypeError, context, atempt=1)
        """)

    def test_what_is_published_while_it_is_recorded_goes_to_no_app_and_is_kept_in_order(self):
        self.passes("""
            with recorded() as published:
                receipt = topics.user_created.publish({"a": (1,)}, key="k", delay="5m", attributes={"a": "b"}, traceparent="00")
                assert receipt == ("published-1", False)
                receipts = topics.other.publish_many([1, 2, 1], idempotency_key=str)
                assert receipts == [("published-2", False), ("published-3", False), ("published-2", True)]
                asyncio.run(topics["class"].publish_async(None))
                asyncio.run(topics["class"].publish_many_async([5]))
                thread = threading.Thread(target=topics.other.publish, args=("thread",))
                thread.start()
                thread.join()
                assert raises(PublishError, topics.other.publish, object()).type == "urn:less:not-serializable"
                raises(ValueError, topics.other.publish, 1, key="")
            assert published == [
                Published("user_created", {"a": [1]}, "k", timedelta(minutes=5), {"a": "b"}, None, "00"),
                Published("other", 1, idempotency_key="1"),
                Published("other", 2, idempotency_key="2"),
                Published("other", 1, idempotency_key="1"),
                Published("class", None),
                Published("class", 5),
                Published("other", "thread"),
            ], published
            assert raises(PublishError, topics.other.publish, 1).type == "urn:less:no-app"
        """)

    def test_recording_ends_with_an_error_and_may_be_nested(self):
        self.passes("""
            with recorded() as outer:
                try:
                    with recorded() as inner:
                        topics.other.publish(1)
                        raise KeyError
                except KeyError:
                    topics.other.publish(2)
            assert [one.message for one in inner + outer] == [1, 2]
        """)
