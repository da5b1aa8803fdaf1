"""What becomes of a message, by what the handler does."""

import builtins
import os
import runpy
import threading
import unittest

from tests.fake_app import HERE, Worker

KINDS = ("def", "async def")


class Outcomes(unittest.TestCase):
    def handled(self, body, expect, parameters="message", message=None, before="", kinds=KINDS):
        """Runs `body` as a handler of each kind; `expect` is the outcome, or takes it."""
        lines = "\n    ".join(body.split("\n"))
        for kind in kinds:
            with (
                self.subTest(kind),
                Worker(f"{before}\n{kind} process({parameters}):\n    {lines}\n") as worker,
            ):
                outcome = worker.ready().handle(message)
                expect(outcome) if callable(expect) else self.assertEqual(outcome, expect)
                # It lives on.
                self.assertIn(worker.deliver(message)[0], [1, 2])
                worker.outcome(2)

    def error(self, first_line):
        return lambda outcome: self.assertEqual(outcome.get("error", "").split("\n")[0], first_line)

    def test_returning_anything_is_done(self):
        self.handled("return object()", "done")
        self.handled("return False", "done")

    def test_an_exception_says_what_and_where_in_the_users_words(self):
        self.handled(
            "raise ValueError('no such user')",
            {
                "id": 1,
                "error": "ValueError: no such user\n"
                '  File "less/topics/user_created/audit/__init__.py", line 3, in process\n'
                "    raise ValueError('no such user')",
            },
        )

    def test_causes_follow(self):
        def expect(outcome):
            self.assertRegex(
                outcome["error"], r"(?s)^RuntimeError: outer\n.*\ncaused by KeyError: 'x'\n.*line 4"
            )

        self.handled(
            "try:\n    {}['x']\nexcept KeyError as e:\n    raise RuntimeError('outer') from e", expect
        )

    def test_exceptions_of_own_modules_are_named_without_the_handlers_module(self):
        self.handled("raise Gone('x')", self.error("Gone: x"), before="class Gone(Exception): pass")

    def test_hostile_exceptions_are_errors_like_any_other(self):
        for raised, first in [
            ("MemoryError()", "MemoryError"),
            ("KeyboardInterrupt()", "KeyboardInterrupt"),
            ("GeneratorExit()", "GeneratorExit"),
            ("asyncio.CancelledError()", "CancelledError"),
            ("asyncio.TimeoutError()", "TimeoutError"),
            ("Broken()", "Broken: <the text of a Broken can't be made: __str__ failed>"),
            ("Odd()", "Odd: {1: 2}"),
            ("ValueError('half \\ud800')", "ValueError: half ?"),
            ("ValueError('ünï ☃ 😀')", "ValueError: ünï ☃ 😀"),
        ]:
            before = (
                "import asyncio\nclass Broken(BaseException):\n    def __str__(self): raise SystemExit(9)\n"
                "class Odd(Exception):\n    exceptions = 5\n    def __str__(self): return '{1: 2}'\n"
            )
            with self.subTest(raised):
                self.handled(f"raise {raised}", self.error(first), before=before)

    def test_stop_iteration_is_an_error(self):
        self.handled("raise StopIteration(5)", self.error("StopIteration: 5"), kinds=("def",))
        self.handled(
            "raise StopIteration(5)",
            self.error("RuntimeError: coroutine raised StopIteration"),
            kinds=("async def",),
        )

    def test_deep_recursion_is_an_error_of_bounded_size(self):
        def expect(outcome):
            self.assertTrue(
                outcome["error"].startswith("RecursionError: maximum recursion depth exceeded"), outcome
            )
            self.assertLessEqual(len(outcome["error"].encode()), 2000)
            self.assertIn(" more\n", outcome["error"])

        self.handled("return f(1)", expect, before="def f(n):\n    return f(n + 1)")

    def test_a_long_error_is_cut_at_2000_bytes_between_characters(self):
        def expect(outcome):
            self.assertLessEqual(len(outcome["error"].encode()), 2000)
            self.assertGreater(len(outcome["error"].encode()), 1990)
            self.assertTrue(outcome["error"].endswith("☃\n..."))

        self.handled("raise ValueError('☃' * 100000)", expect)

    def test_reject_makes_a_dead_letter_in_each_way_of_writing(self):
        for body in (
            "context.reject('no such user')",
            "raise context.reject('no such user')",
            "raise less.Reject('no such user')",
        ):
            self.handled(body, {"id": 1, "reject": "no such user"}, "message, context", before="import less")

    def test_reject_survives_odd_reasons(self):
        self.handled("context.reject({'a': 1})", {"id": 1, "reject": "{'a': 1}"}, "message, context")
        self.handled("context.reject('\\udfff')", {"id": 1, "reject": "?"}, "message, context")
        before = "import less\nclass Mine(less.Reject):\n    def __init__(self): pass"
        self.handled("raise Mine()", {"id": 1, "reject": ""}, before=before)

    def test_retry_after_takes_text_seconds_and_timedeltas(self):
        for delay, millis in [("'5m'", 300_000), ("1.5", 1500), ("timedelta(hours=2)", 7_200_000), ("0", 0)]:
            for body in (f"context.retry_after({delay})", f"raise less.RetryAfter({delay})"):
                before = "import less\nfrom datetime import timedelta"
                self.handled(body, {"id": 1, "retry_after_ms": millis}, "message, context", before=before)

    def test_a_bad_retry_after_is_an_error_that_names_the_range(self):
        def expect(outcome):
            self.assertRegex(
                outcome["error"],
                r"^ValueError: retry_after: '5 weeks' is out of range; write .* from 0 to 365 days",
            )

        self.handled("context.retry_after('5 weeks')", expect, "message, context")

    def test_a_group_of_one_reject_is_a_reject(self):
        if not hasattr(builtins, "ExceptionGroup"):
            return  # Groups came with Python 3.11: there is nothing to test.
        self.handled(
            "raise ExceptionGroup('g', [less.Reject('x')])", {"id": 1, "reject": "x"}, before="import less"
        )
        self.handled(
            "raise ExceptionGroup('g', [ValueError('x'), ValueError('y')])",
            self.error("ExceptionGroup: g (2 sub-exceptions)"),
        )

    def test_a_generator_that_a_handler_returns_was_never_run(self):
        error = self.error("TypeError: the handler returned a generator, of which nothing was run")
        self.handled("return (x for x in [1])", error)
        self.handled("return part()", error, before="async def part(): yield 1")
        self.handled(
            "return None",
            error,
            before="def d(f): return lambda message: part(f)\ndef part(f): yield f\n@d",
        )
        self.handled("return other()", error, before="async def other(): return (x for x in [1])")

    def test_an_awaitable_that_gives_an_awaitable_is_awaited_to_its_end(self):
        before = "import asyncio\nasync def last():\n    await asyncio.sleep(0)\n    raise ValueError('reached')\nasync def other(): return last()"
        self.handled("return other()", self.error("ValueError: reached"), before=before)

    def test_an_awaitable_that_gives_itself_is_done(self):
        before = "class Pool:\n    def __await__(self):\n        yield\n        return self"
        self.handled("return Pool()", "done", before=before)

    def test_an_awaitable_from_a_sync_function_is_awaited(self):
        before = "import asyncio\nasync def later(m):\n    await asyncio.sleep(0.01)\n    raise ValueError(m)"
        self.handled(
            "return later(message)", self.error("ValueError: 7"), message=7, before=before, kinds=("def",)
        )

    def test_context_tells_everything_of_the_delivery(self):
        handler = """
            import json
            from datetime import timezone
            def process(message, context):
                assert context.published_at.tzinfo is timezone.utc
                context.attributes["x"] = 1
                raise ValueError(repr((context.message_id, context.topic, context.subscriber, context.attempt,
                    context.published_at.isoformat(), context.key, json.loads(json.dumps(context.attributes)), context.traceparent)))
        """
        with Worker(handler) as worker:
            worker.ready()
            first = worker.handle(1, attempt=3, key="k", attributes={"a": "b"}, traceparent="00-1")[
                "error"
            ].split("\n")[0]
            self.assertEqual(
                first,
                "ValueError: ('id-1', 'user_created', 'audit', 3, '2023-11-14T22:13:20.123000+00:00', 'k', {'a': 'b'}, '00-1')",
            )
            self.assertIn("None, {}, None)", worker.handle(1)["error"].split("\n")[0])

    def test_every_json_value_arrives(self):
        values = [
            None,
            True,
            0,
            -1,
            2**80,
            1.5e300,
            "",
            "☃😀\u2028\u0000",
            [],
            {},
            {"": [{}]},
            "x" * 1_000_000,
        ]
        with Worker(
            "import json\ndef process(message):\n    raise ValueError(hash(json.dumps(message)[:1000]))\n",
            env={"PYTHONHASHSEED": "0"},
        ) as one:
            one.ready()
            for value in values:
                self.assertIn("ValueError: ", one.handle(value)["error"])
        with Worker(
            "def process(message):\n    if message[0] != eval(message[1]): raise ValueError(message)\n"
        ) as worker:
            worker.ready()
            for value in values:
                self.assertEqual(worker.handle([value, repr(value)]), "done")


class Sending(unittest.TestCase):
    def test_nothing_is_sent_last_while_another_thread_still_sends_results(self):
        sent = []

        class Channel:
            """Whose sender is interrupted, after it took the results, by one that ends the worker."""

            def send_text(self, text):
                ender.start()
                ender.join(0.2)
                sent.append(text)

        def end():
            outcomes.flush_all()
            sent.append("crash")

        # By its path: the package itself is whole in a built app only.
        module = runpy.run_path(os.path.join(HERE, "less", "_worker", "outcomes.py"))
        outcomes = module["Outcomes"](Channel())
        ender = threading.Thread(target=end)
        outcomes.done.append(1)
        outcomes.flush()
        ender.join()
        self.assertEqual(sent, [b'{"type":"results","done":[1]}', "crash"])


class Exits(unittest.TestCase):
    def exits(self, call, code, said, kinds=KINDS):
        for kind in kinds:
            with self.subTest(f"{kind} {call}"):
                handler = f"import sys, atexit\natexit.register(print, 'at exit')\n{kind} process(message):\n    if message: {call}\n"
                # One at a time: with several, one of the fifty may be unfinished in another thread.
                with Worker(handler, concurrency=1) as worker:
                    worker.ready()
                    done = worker.deliver(*[0] * 50)
                    fatal = worker.deliver(1)[0]
                    self.assertEqual(worker.exit_code(), code, worker.output())
                    worker.wait(lambda: worker.ended)
                    # What was finished before is counted, the one that ended the process never.
                    self.assertEqual({id: "done" for id in done}, worker.outcomes())
                    self.assertNotIn(fatal, worker.outcomes())
                    self.assertEqual(worker.frames[-1]["type"], "crash")
                    self.assertEqual(
                        worker.frames[-1]["error"].split("\n")[0], f"`{said}` was called by a handler"
                    )
                    self.assertIn("line 4, in process", worker.frames[-1]["error"])
                    self.assertIn("at exit", worker.output())

    def test_sys_exit_ends_the_process_and_never_counts_the_message_done(self):
        self.exits("sys.exit(3)", 3, "sys.exit(3)")
        self.exits("sys.exit()", 0, "sys.exit()")
        self.exits("sys.exit(-1)", 255, "sys.exit(-1)")
        self.exits("sys.exit('no more')", 1, "sys.exit('no more')")

    def test_os_exit_just_ends_the_process(self):
        with Worker("import os\ndef process(message): os._exit(7)\n") as worker:
            worker.ready().deliver(1)
            self.assertEqual(worker.exit_code(), 7)
            self.assertEqual(worker.of("crash") + worker.of("results"), [])

    def test_errors_that_belong_to_no_delivery_are_logged_and_not_fatal(self):
        handler = """
            import asyncio, threading
            async def process(message):
                threading.Thread(target=lambda: 1 / 0).start()
                asyncio.get_running_loop().call_soon(lambda: [][1])
                asyncio.ensure_future(fail())
                await asyncio.sleep(0.02)
            async def fail():
                raise KeyError("nobody looks")
        """
        with Worker(handler) as worker:
            self.assertEqual(worker.ready().handle(1), "done")
            self.assertEqual(worker.handle(1), "done")
            self.assertEqual(worker.stop(), 0)
            for text in ("ZeroDivisionError", "IndexError", "nobody looks"):
                self.assertIn(text, worker.output())
