import unittest

from tests.fake_app import Worker


class Smoke(unittest.TestCase):
    def test_def_and_async_def_are_done(self):
        for kind in ("def", "async def"):
            with self.subTest(kind), Worker(f"{kind} process(message):\n    print(message)\n") as worker:
                worker.ready()
                self.assertEqual(worker.handle({"a": 1}), "done")
                self.assertEqual(worker.stop(), 0)
                self.assertEqual(worker.output(), "{'a': 1}\n")

    def test_an_exception_is_told(self):
        for kind in ("def", "async def"):
            with self.subTest(kind), Worker(f"{kind} process(message, context):\n    raise ValueError('no such user')\n") as worker:
                worker.ready()
                out = worker.handle({"a": 1})
                self.assertEqual(out["error"], 'ValueError: no such user\n  File "less/topics/user_created/audit/__init__.py", line 2, in process\n    raise ValueError(\'no such user\')')
