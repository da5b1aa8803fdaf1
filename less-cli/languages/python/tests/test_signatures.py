"""How `process` is called, by how it is written."""

import unittest

from tests.fake_app import Worker

BEFORE = """
import asyncio, functools, types
class Said(Exception): pass
def say(*args):
    raise Said(" ".join("context" if type(a).__name__ == "Context" else repr(a) for a in args))
"""


class Accepted(unittest.TestCase):
    def calls(self, handler, said):
        with self.subTest(handler), Worker(BEFORE + handler) as worker:
            worker.ready()
            self.assertEqual(worker.handle("m")["error"].split("\n")[0], f"Said: {said}")

    def test_one_parameter_gets_the_message(self):
        self.calls("def process(message): say(message)", "'m'")
        self.calls("async def process(message): say(message)", "'m'")
        self.calls("def process(message, /): say(message)", "'m'")
        self.calls("process = lambda m: say(m)", "'m'")

    def test_a_second_parameter_without_default_gets_the_context(self):
        self.calls("def process(message, c): say(message, c)", "'m' context")
        self.calls("async def process(message, context): say(message, context)", "'m' context")

    def test_a_default_belongs_to_the_user_unless_it_is_called_context(self):
        self.calls("def process(message, retries=3): say(message, retries)", "'m' 3")
        self.calls("def process(message, context=None): say(message, context)", "'m' context")
        self.calls("def process(message=None): say(message)", "'m'")
        self.calls("def process(message, context, more=1): say(message, context, more)", "'m' context 1")

    def test_context_may_be_keyword_only(self):
        self.calls("def process(message, *, context): say(message, context)", "'m' context")
        self.calls(
            "async def process(message, *, context=None, other=2): say(message, context, other)",
            "'m' context 2",
        )

    def test_open_parameters_get_the_message_alone(self):
        self.calls("def process(*args): say(*args)", "'m'")
        self.calls("def process(message, *args, **more): say(message, *args, *more)", "'m'")

    def test_decorators_with_wraps_keep_what_they_wrap(self):
        decorator = (
            "def d(f):\n    @functools.wraps(f)\n    def w(*a, **k): return f(*a, **k)\n    return w\n"
        )
        self.calls(decorator + "@d\ndef process(message, context): say(message, context)", "'m' context")
        self.calls(
            decorator
            + "@d\nasync def process(message, context):\n    await asyncio.sleep(0)\n    say(message, context)",
            "'m' context",
        )
        self.calls(
            decorator.replace("@functools.wraps(f)", "") + "@d\ndef process(message): say(message)", "'m'"
        )

    def test_partials_objects_and_methods(self):
        self.calls(
            "def f(a, message, context): say(a, message, context)\nprocess = functools.partial(f, 1)",
            "1 'm' context",
        )
        self.calls("async def f(a, message): say(a, message)\nprocess = functools.partial(f, 1)", "1 'm'")
        self.calls(
            "class A:\n    def __call__(self, message, context): say(message, context)\nprocess = A()",
            "'m' context",
        )
        self.calls("class A:\n    async def __call__(self, message): say(message)\nprocess = A()", "'m'")
        self.calls(
            "class A:\n    async def run(self, message, context): say(message, context)\nprocess = A().run",
            "'m' context",
        )
        self.calls(
            "class A:\n    @classmethod\n    def run(cls, message): say(message)\nprocess = A.run", "'m'"
        )
        self.calls("class A:\n    @staticmethod\n    def run(message): say(message)\nprocess = A.run", "'m'")

    def test_a_function_of_c_gets_the_message(self):
        with Worker("process = print\n") as worker:
            self.assertEqual(worker.ready().handle("hello"), "done")
            self.assertEqual(worker.output(), "hello\n")

    def test_async_functions_run_on_the_main_threads_loop(self):
        handler = """
            import asyncio, threading
            async def process(message):
                assert threading.current_thread() is threading.main_thread()
                assert asyncio.current_task() is not None
                await asyncio.sleep(0)
        """
        with Worker(handler) as worker:
            self.assertEqual(worker.ready().handle(1), "done")


class Refused(unittest.TestCase):
    def fails(self, handler, *lines):
        with self.subTest(handler), Worker(handler) as worker:
            self.assertEqual(worker.failure().split("\n"), list(lines))

    FILE = Worker.FILE
    HINT = "hint: write `def process(message):` or `def process(message, context):`"

    def test_no_process_names_a_near_miss(self):
        none = "there is no function `process`"
        self.fails("", none, f"  --> {self.FILE}", self.HINT)
        self.fails("from os.path import join as proces", none, f"  --> {self.FILE}", self.HINT)
        self.fails(
            "def proces(message): pass",
            none,
            f"  --> {self.FILE}",
            "hint: there is `proces`: call it `process`",
        )
        self.fails(
            "def handler(event, context): pass",
            none,
            f"  --> {self.FILE}",
            "hint: there is `handler`: call it `process`",
        )

    def test_a_process_that_is_no_function(self):
        self.fails("process = 'x'", "`process` is no function but a str", f"  --> {self.FILE}", self.HINT)

    def test_signatures_that_nobody_can_call(self):
        at = f"  --> {self.FILE}:1"
        self.fails("def process(): pass", "`process()` takes no message", at, self.HINT)
        self.fails("def process(*, message): pass", "`process(*, message)` takes no message", at, self.HINT)
        self.fails(
            "def process(a, b, c): pass",
            "`process(a, b, c)` needs 3 arguments, and gets a message and a context",
            at,
            self.HINT,
        )
        self.fails(
            "def process(a, *, b): pass", "`process(a, *, b)` needs `b`, which nobody gives it", at, self.HINT
        )

    def test_a_generator_would_never_run(self):
        for kind in ("def", "async def"):
            self.fails(
                f"{kind} process(message): yield",
                "`process` has a `yield`: calling it would run none of it",
                f"  --> {self.FILE}:1",
                "hint: do the work without `yield`",
            )
