"""Publishing from handlers: over the worker's socket, and from their children over HTTP."""

import unittest

from tests.fake_app import Worker
from tests.fake_http import FakeHttp

BEFORE = "import asyncio, os, threading\nfrom less import topics, PublishError, PublishManyError\n"
NO_HTTP = {"LESS_URL": "http://127.0.0.1:1"}


class Publishing(unittest.TestCase):
    def done(self, handler, message=1, publishes=None, **more):
        with self.subTest(handler), Worker(BEFORE + handler, env=NO_HTTP, **more) as worker:
            worker.publishes = publishes or worker.publishes
            self.assertEqual(worker.ready().handle(message), "done", worker.output())
            return worker.of("publish")

    def test_each_way_goes_over_the_socket(self):
        for kind, call in [
            ("def", "topics.other.publish(message, key='k')"),
            ("async def", "topics.other.publish(message, key='k')"),
            ("async def", "await topics.other.publish_async(message, key='k')"),
            ("def", "asyncio.run(topics.other.publish_async(message, key='k'))"),
            (
                "async def",
                "await asyncio.to_thread(topics.other.publish, message, key='k') if hasattr(asyncio, 'to_thread') else 0",
            ),
        ]:
            frames = self.done(f"{kind} process(message):\n    {call}\n", {"ü": 1})
            self.assertEqual(
                frames,
                [
                    {
                        "type": "publish",
                        "request": 1,
                        "topic": "other",
                        "messages": [{"body": {"ü": 1}, "key": "k"}],
                    }
                ],
            )

    def test_many_in_both_ways(self):
        for kind, call in [
            ("def", "topics.other.publish_many"),
            ("async def", "await topics.other.publish_many_async"),
        ]:
            frames = self.done(f"{kind} process(message):\n    assert len({call}(range(10001))) == 10001\n")
            self.assertEqual([len(frame["messages"]) for frame in frames], [10_000, 1])

    def test_while_the_module_is_loaded(self):
        self.assertEqual(
            len(
                self.done(
                    "receipt = topics.other.publish(1)\ndef process(message): assert receipt.message_id == 'm1-0'\n"
                )
            ),
            1,
        )

    def test_many_handlers_publish_at_the_same_time(self):
        for kind, call in [
            ("def", "topics.other.publish(message)"),
            ("async def", "await topics.other.publish_async(message)"),
        ]:
            with Worker(
                f"{BEFORE}{kind} process(message):\n    if ({call}).message_id != str(message): raise ValueError\n",
                env=NO_HTTP,
            ) as worker:
                held = []

                def answer(frame):
                    # In pairs, the later one first.
                    held.append(frame)
                    if len(held) == 2:
                        for one in held[::-1]:
                            results = [{"message_id": str(one["messages"][0]["body"]), "duplicate": False}]
                            worker.send({"type": "published", "request": one["request"], "results": results})
                        held.clear()

                worker.publishes = answer
                for id in worker.ready().deliver(*range(100)):
                    self.assertEqual(worker.outcome(id), "done")

    def test_problems_are_publish_errors(self):
        problem = {
            "type": "urn:less:does-not-fit",
            "status": 422,
            "detail": "it does not fit",
            "pointer": "/a",
        }
        handler = "def process(message):\n    try: topics.other.publish(1)\n    except PublishError as e: assert (e.status, e.pointer) == (422, '/a')\n    else: assert 0\n"
        self.done(handler, publishes=lambda frame: [{"error": problem}])
        self.done(
            handler.replace("publish(1)", "publish_many([1])"), publishes=lambda frame: [{"error": problem}]
        )

    def test_an_error_from_publishing_shows_the_users_line_alone(self):
        with Worker(
            BEFORE + "def process(message):\n    topics.other.publish(object())\n", env=NO_HTTP
        ) as worker:
            error = worker.ready().handle(1)["error"]
            self.assertTrue(
                error.startswith(
                    "PublishError: the message can't be written as JSON: a object has no form in JSON\nhint: "
                ),
                error,
            )
            self.assertIn(f'  File "{worker.FILE}", line 4, in process', error)
            self.assertNotIn(".less/python", error)

    def test_a_message_that_is_longer_than_a_frame_is_refused(self):
        handler = "def process(message):\n    try: topics.other.publish('x' * (64 << 20))\n    except PublishError as e: assert e.type == 'urn:less:too-large'\n    else: assert 0\n"
        self.done(handler)

    def test_programs_that_a_handler_starts_find_the_package(self):
        handler = """
            import os, subprocess, sys
            PROGRAM = "import mine; from less import topics; topics.other.publish(mine.x)"
            def process(message):
                subprocess.run([sys.executable, "-c", PROGRAM], check=True)
                assert os.environ["PYTHONPATH"].endswith("/.less/python:more")
        """
        with FakeHttp() as app:
            env = {"LESS_URL": app.url, "PYTHONPATH": "more"}
            with Worker(handler, {"more/mine.py": "x = 7"}, env=env) as worker:
                self.assertEqual(worker.ready().handle(1), "done", worker.output())
            self.assertEqual([request["body"][0]["body"] for request in app.requests], [7])

    def test_children_publish_over_http(self):
        handler = """
            import multiprocessing, os
            from less import topics
            def publish(x):
                topics.other.publish(x)
            {kind} process(message):
                if message == "os.fork":
                    pid = os.fork()
                    if pid == 0:
                        publish(message)
                        os._exit(0)
                    assert os.waitpid(pid, 0)[1] == 0
                else:
                    child = multiprocessing.get_context(message).Process(target=publish, args=(message,))
                    child.start()
                    child.join()
                    assert child.exitcode == 0
                topics.other.publish("parent")
        """
        for kind in ("def", "async def"):
            with (
                FakeHttp() as app,
                Worker(handler.replace("{kind}", kind), env={"LESS_URL": app.url}) as worker,
            ):
                worker.ready()
                for way in ("os.fork", "fork", "spawn"):
                    self.assertEqual(worker.handle(way), "done", worker.output())
                self.assertEqual(
                    [request["body"][0]["body"] for request in app.requests], ["os.fork", "fork", "spawn"]
                )
                self.assertEqual(
                    [frame["messages"][0]["body"] for frame in worker.of("publish")], ["parent"] * 3
                )
