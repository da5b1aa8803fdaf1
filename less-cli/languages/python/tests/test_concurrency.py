"""Many messages at once: neighbours of handlers that block, cancelling, stopping."""

import time
import unittest

from tests.fake_app import WAIT, Worker


class Threads(unittest.TestCase):
    def test_a_blocking_handler_does_not_stop_the_others(self):
        handler = """
            import threading
            gate = threading.Event()
            def process(message):
                if message == "block": assert gate.wait(20)
                if message == "open": gate.set()
        """
        with Worker(handler) as worker:
            worker.ready()
            blocked = worker.deliver("block")[0]
            others = worker.deliver(*range(200))
            for id in others:
                self.assertEqual(worker.outcome(id), "done")
            self.assertNotIn(blocked, worker.outcomes())
            worker.deliver("open")
            self.assertEqual(worker.outcome(blocked), "done")

    def test_an_infinite_loop_does_not_stop_the_others(self):
        with Worker("def process(message):\n    while message: pass\n") as worker:
            worker.ready().deliver(1)
            for id in worker.deliver(*[0] * 100):
                self.assertEqual(worker.outcome(id), "done")
            worker.send({"type": "cancel", "id": 1})
            worker.wait(lambda: worker.of("cancelled"))
            self.assertEqual(worker.of("cancelled")[0], {"type": "cancelled", "id": 1, "state": "running"})

    def test_all_of_the_concurrency_is_used_and_no_more(self):
        handler = """
            import threading
            together = threading.Barrier(30)
            def process(message):
                together.wait(20)
        """
        with Worker(handler, concurrency=30) as worker:
            for id in worker.ready().deliver(*range(30)):
                self.assertEqual(worker.outcome(id), "done")
        with Worker(
            "import threading\ndef process(message): raise ValueError(threading.current_thread().name)\n",
            concurrency=1,
        ) as worker:
            worker.ready()
            names = {worker.handle(1)["error"].split("\n")[0] for _ in range(20)}
            self.assertEqual(names, {"ValueError: less-handler-1"})

    def test_handlers_that_block_for_less_than_a_tick_run_side_by_side(self):
        handler = """
            import time
            inside, most = set(), 0
            def process(message):
                global most
                if message == "most": raise ValueError(most)
                inside.add(message)
                most = max(most, len(inside))
                time.sleep(0.0008)
                inside.discard(message)
        """
        with Worker(handler, concurrency=64) as worker:
            worker.ready()
            most = 0
            # A few rounds are enough: those that merely look stuck now and then need a hundred.
            for _ in range(50):
                for id in worker.deliver(*range(64)):
                    worker.outcome(id)
                most = int(worker.handle("most")["error"].split("\n")[0].split(": ")[1])
                if most >= 16:
                    break
            self.assertGreaterEqual(most, 16)

    def test_a_result_is_not_held_back_by_the_handler_after_it(self):
        for kind in ("def", "async def"):
            with (
                self.subTest(kind),
                Worker(
                    f"import time\n{kind} process(message): time.sleep(message)\n", concurrency=2
                ) as worker,
            ):
                first, _ = worker.ready().deliver(0, 60)
                self.assertEqual(worker.outcome(first), "done")

    def test_code_that_holds_the_interpreter_only_delays(self):
        # A regular expression of exponential cost, all in C and without letting go.
        with Worker("import re\ndef process(message): re.match('(a+)+$', 'a' * message + 'b')\n") as worker:
            ids = worker.ready().deliver(22, *[1] * 20)
            for id in ids:
                self.assertEqual(worker.outcome(id), "done")

    def test_messages_are_begun_in_their_order(self):
        with Worker(
            "seen = []\ndef process(message):\n    seen.append(message)\n    if message == 99: raise ValueError(seen == list(range(100)))\n",
            concurrency=1,
        ) as worker:
            ids = worker.ready().deliver(*range(100))
            self.assertTrue(worker.outcome(ids[-1])["error"].startswith("ValueError: True"))


class Cancelling(unittest.TestCase):
    def cancel(self, worker, id):
        worker.send({"type": "cancel", "id": id})
        worker.wait(lambda: any(frame["id"] == id for frame in worker.of("cancelled")), "`cancelled`")
        return [frame["state"] for frame in worker.of("cancelled") if frame["id"] == id]

    def test_a_waiting_delivery_is_forgotten_and_an_unknown_one_said(self):
        with Worker(
            "import time\ndef process(message):\n    print(message)\n    if message == 1: time.sleep(1)\n",
            concurrency=1,
        ) as worker:
            worker.ready().deliver("a")
            first, second, third = worker.deliver(1, 2, 3)
            worker.wait_log("1")
            self.assertEqual(self.cancel(worker, second), ["waiting"])
            self.assertEqual(self.cancel(worker, first), ["running"])
            self.assertEqual(worker.outcome(third), "done")
            self.assertEqual(self.cancel(worker, third), ["unknown"])
            self.assertEqual(self.cancel(worker, 999), ["unknown"])
            self.assertEqual(worker.outcome(first), "done")
            self.assertNotIn(second, worker.outcomes())
            self.assertEqual(worker.stop(), 0)
            self.assertEqual(worker.output(), "a\n1\n3\n")

    def test_a_coroutine_is_told_by_cancelled_error(self):
        handler = """
            import asyncio
            async def process(message):
                try:
                    print("begun")
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    print("told", flush=True)
                    if message == "stay": return
                    raise
        """
        with Worker(handler) as worker:
            one, other = worker.ready().deliver("go", "stay")
            worker.wait_log("begun\nbegun\n")
            self.assertEqual(self.cancel(worker, one), ["running"])
            self.assertTrue(worker.outcome(one)["error"].startswith("CancelledError"))
            self.assertEqual(self.cancel(worker, other), ["running"])
            self.assertEqual(worker.outcome(other), "done")
            self.assertEqual(worker.output(), "begun\nbegun\ntold\ntold\n")

    def test_an_awaitable_of_a_sync_handler_is_told_too(self):
        with Worker(
            "import asyncio\ndef process(message):\n    return wait()\nasync def wait():\n    print('begun')\n    await asyncio.sleep(60)\n"
        ) as worker:
            worker.ready().deliver(1)
            worker.wait_log("begun")
            self.assertEqual(self.cancel(worker, 1), ["running"])
            self.assertTrue(worker.outcome(1)["error"].startswith("CancelledError"))

    def test_cancel_is_answered_while_the_loop_is_blocked(self):
        with Worker(
            "import time\nasync def process(message):\n    print('begun')\n    time.sleep(60)\n"
        ) as worker:
            first, second = worker.ready().deliver(1, 2)
            worker.wait_log("begun")
            self.assertEqual(self.cancel(worker, first), ["running"])
            self.assertEqual(self.cancel(worker, second), ["waiting"])

    def test_every_delivery_has_one_end_when_cancels_race(self):
        for kind in ("def", "async def"):
            with (
                self.subTest(kind),
                Worker(
                    f"import time\n{kind} process(message): time.sleep(0.0001)\n", concurrency=400
                ) as worker,
            ):
                worker.ready()
                for _ in range(10):
                    ids = worker.deliver(*range(100))
                    for id in ids[::-3]:
                        worker.send({"type": "cancel", "id": id})
                self.assertEqual(worker.stop(), 0)
                worker.wait(lambda: worker.ended)
                forgotten = {frame["id"] for frame in worker.of("cancelled") if frame["state"] == "waiting"}
                finished = set(worker.outcomes())
                self.assertEqual(forgotten & finished, set())
                self.assertEqual(forgotten | finished, set(range(1, 1001)))


class Isolation(unittest.TestCase):
    def test_each_message_has_its_own_context_variables_on_top_of_the_modules(self):
        handler = """
            import contextvars
            variable = contextvars.ContextVar("v")
            variable.set("module")
            {kind} process(message):
                assert variable.get() == "module"
                variable.set(message)
        """
        for kind in ("def", "async def"):
            with self.subTest(kind), Worker(handler.replace("{kind}", kind)) as worker:
                for id in worker.ready().deliver(*range(50)):
                    self.assertEqual(worker.outcome(id), "done")

    def test_a_long_handler_costs_no_time_while_it_waits(self):
        sync = "import time\ndef process(message): time.sleep(60)\n"
        for handler in (
            sync,
            sync.replace("def", "async def")
            .replace("time.sleep", "await asyncio.sleep")
            .replace("import time", "import asyncio"),
        ):
            with self.subTest(handler), Worker(handler) as worker:
                worker.ready().deliver(1)
                deadline = time.monotonic() + WAIT
                used = 100
                while used > 1:
                    self.assertLess(time.monotonic(), deadline, "it never comes to rest")
                    before = self.cpu(worker)
                    time.sleep(1)
                    used = self.cpu(worker) - before

    def cpu(self, worker):
        """Ticks of 10 ms that the worker has used."""
        with open(f"/proc/{worker.process.pid}/stat") as file:
            return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))

    def test_timeouts_and_subprocesses_of_asyncio_work(self):
        handler = """
            import asyncio, sys
            async def process(message):
                child = await asyncio.create_subprocess_exec(sys.executable, "-c", "exit(3)")
                assert await asyncio.wait_for(child.wait(), 20) == 3
        """
        with Worker(handler) as worker:
            self.assertEqual(worker.ready().handle(1), "done")
            self.assertEqual(worker.stop(), 0)


class Children(unittest.TestCase):
    HANDLER = """
        import multiprocessing, os
        from less import topics
        def double(x):
            return 2 * x
        def process(message):
            context = multiprocessing.get_context(message)
            with context.Pool(2) as pool:
                assert pool.map(double, [1, 2, 3]) == [2, 4, 6]
            child = context.Process(target=double, args=(2,))
            child.start(); child.join()
            assert child.exitcode == 0, child.exitcode
    """

    def test_multiprocessing_works_in_all_its_ways(self):
        for asynchronous in ("", "async "):
            with Worker(self.HANDLER.replace("def process", asynchronous + "def process")) as worker:
                worker.ready()
                for method in ("fork", "spawn", "forkserver"):
                    self.assertEqual(worker.handle(method), "done", worker.output())
                self.assertEqual(worker.stop(), 0)

    def test_a_forked_child_that_leaves_the_handler_reports_nothing(self):
        for kind in ("def", "async def"):
            for end in ("return", "raise ValueError('in the child')", "sys.exit(5)"):
                handler = f"""
                    import os, sys
                    {kind} process(message):
                        pid = os.fork()
                        if pid == 0:
                            {end}
                        _, status = os.waitpid(pid, 0)
                        raise ValueError(status >> 8)
                """
                with self.subTest(f"{kind} {end}"), Worker(handler) as worker:
                    code = {"r": 0 if end == "return" else 1, "s": 5}[end[0]]
                    self.assertEqual(worker.ready().handle(1)["error"].split("\n")[0], f"ValueError: {code}")
                    self.assertEqual(worker.stop(), 0)
                    self.assertEqual(len(worker.outcomes()), 1)
