"""Frames, floods, the ledger, and how a worker ends."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import unittest

from tests.fake_app import Project, Worker, delivery, encode

PASS = "def process(message): pass\n"


class Frames(unittest.TestCase):
    def test_frames_may_be_split_at_every_byte_and_joined(self):
        data = encode({"type": "deliver", "deliveries": [delivery(1, "ü")]})
        with Worker(PASS) as worker:
            worker.ready()
            for at in range(len(data)):
                text = data.replace(b'"id": 1,', b'"id": %d,' % (at % 10))
                worker.send_raw(text[:at])
                worker.send_raw(text[at:])
                worker.wait(
                    lambda: sum(len(frame.get("done", ())) for frame in worker.of("results")) == at + 1
                )
        with Worker(PASS, start=False) as worker:
            hello = {
                "type": "hello",
                "protocol": 1,
                "topic": "t",
                "subscriber": "s",
                "root": worker.root,
                "file": worker.FILE,
                "concurrency": 5,
            }
            for byte in encode(hello):
                worker.send_raw(bytes([byte]))
            many = b"".join(
                encode({"type": "deliver", "deliveries": [delivery(id, id)]}) for id in range(1, 500)
            )
            worker.ready().send_raw(many)
            worker.wait(lambda: len(worker.outcomes()) == 499)

    def test_the_longest_frame_is_read_and_a_longer_one_ends_the_worker(self):
        longest = 64 * 1024 * 1024
        rest = len(encode({"type": "deliver", "deliveries": [delivery(1, "")]})) - 4
        with Worker(
            "def process(message):\n    if len(message) != %d: raise ValueError(len(message))\n"
            % (longest - rest)
        ) as worker:
            worker.ready()
            self.assertEqual(worker.handle("x" * (longest - rest)), "done")
            worker.send_raw((longest + 1).to_bytes(4, "big"))
            self.assertEqual(worker.exit_code(), 1)

    def test_what_is_no_frame_ends_the_worker_and_says_so(self):
        deep = b'{"type":"deliver","deliveries":[{"id":1,"body":' + b"[" * 200_000 + b"]" * 200_000 + b"}]}"
        for text, said in [
            (b"{", "no JSON"),
            (b"\xff", "no JSON"),
            (b"[]", "no object"),
            (b'{"type":"nonsense"}', "a frame of type 'nonsense'"),
            (deep, "nested too deeply"),
        ]:
            with self.subTest(said), Worker(PASS) as worker:
                worker.ready().send_raw(len(text).to_bytes(4, "big") + text)
                self.assertEqual(worker.exit_code(), 1)
                worker.wait(lambda: worker.of("crash"))
                self.assertIn(said, worker.of("crash")[0]["error"])

    def test_many_results_travel_in_one_frame(self):
        with Worker(PASS, concurrency=5000) as worker:
            worker.ready().deliver(*range(5000))
            worker.wait(lambda: len(worker.outcomes()) == 5000)
            self.assertLess(len(worker.of("results")), 500)

    def test_the_worker_reads_while_the_app_does_not(self):
        handler = "from less import topics\ndef process(message):\n    if message == 1: topics.other.publish('x' * 9000000)\n"
        with Worker(handler, concurrency=1000) as worker:
            worker.ready()
            worker.reading.clear()
            worker.deliver(1)
            big = worker.deliver(*["y" * 100_000] * 300)
            worker.send({"type": "cancel", "id": 999_999})
            worker.send({"type": "cancel", "id": 1})
            more = worker.deliver(*["y" * 100_000] * 300)
            worker.reading.set()
            for id in [1, *big, *more]:
                self.assertEqual(worker.outcome(id), "done")
            worker.wait(lambda: len(worker.of("cancelled")) == 2)

    def test_standard_output_is_the_log_however_much_comes(self):
        handler = """
            import os, sys, subprocess
            def process(message):
                print("x" * 1000000)
                sys.stderr.write("y" * 1000000)
                os.write(1, b'\\0\\0\\0\\2{}')
                subprocess.run(["echo", "child"], check=True)
        """
        with Worker(handler) as worker:
            for id in worker.ready().deliver(*range(20)):
                self.assertEqual(worker.outcome(id), "done")
            self.assertEqual(worker.stop(), 0)
            self.assertEqual(worker.output().count("x"), 20_000_000)
            self.assertEqual(worker.output().count("child"), 20)


class Ledger(unittest.TestCase):
    def test_thousands_of_messages_have_the_outcomes_they_should(self):
        handler = """
            import asyncio, time
            from less import topics
            {kind} process(message, context):
                wanted, pause = message
                if pause == "publish": {publish}
                elif pause: {pause}
                if wanted == "fail": raise ValueError(context.message_id)
                if wanted == "reject": context.reject(context.message_id)
                if wanted == "retry": context.retry_after(context.attempt)
        """
        kinds = [
            ("def", "time.sleep(pause)", "topics.other.publish(message)"),
            ("async def", "await asyncio.sleep(pause)", "await topics.other.publish_async(message)"),
        ]
        for kind, pause, publish in kinds:
            filled = handler.replace("{kind}", kind).replace("{pause}", pause).replace("{publish}", publish)
            dice = random.Random(4)
            with self.subTest(kind), Worker(filled, concurrency=300) as worker:
                worker.ready()
                wanted = {}
                while len(wanted) < 6000:
                    bodies = [
                        (
                            dice.choice(["done", "done", "fail", "reject", "retry"]),
                            dice.choice([0] * 20 + [0.001, 0.01, "publish"]),
                        )
                        for _ in range(dice.randint(1, 200))
                    ]
                    ids = worker.deliver(*bodies, attempt=7)
                    wanted.update(zip(ids, (body[0] for body in bodies)))
                    worker.wait(lambda: len(worker.outcomes()) > len(wanted) - 100)
                self.assertEqual(worker.stop(), 0)
                worker.wait(lambda: worker.ended)
                for id, outcome in worker.outcomes().items():
                    expected = {
                        "done": "done",
                        "fail": {"id": id, "error": getattr(outcome, "get", dict().get)("error")},
                        "reject": {"id": id, "reject": f"id-{id}"},
                        "retry": {"id": id, "retry_after_ms": 7000},
                    }
                    self.assertEqual(outcome, expected[wanted.pop(id)])
                    if isinstance(outcome, dict) and "error" in outcome:
                        self.assertTrue(outcome["error"].startswith(f"ValueError: id-{id}\n"), outcome)
                self.assertEqual(wanted, {})


class Ending(unittest.TestCase):
    def test_stop_finishes_what_is_there_and_runs_atexit(self):
        handler = """
            import asyncio, atexit, time
            atexit.register(print, "at exit")
            {kind} process(message): {sleep}(0.2)
        """
        for kind, sleep in [("def", "time.sleep"), ("async def", "await asyncio.sleep")]:
            with (
                self.subTest(kind),
                Worker(handler.replace("{kind}", kind).replace("{sleep}", sleep)) as worker,
            ):
                ids = worker.ready().deliver(*range(20))
                self.assertEqual(worker.stop(), 0)
                worker.wait(lambda: worker.ended)
                self.assertEqual(worker.outcomes(), {id: "done" for id in ids})
                self.assertEqual(worker.output(), "at exit\n")

    def test_the_end_of_the_socket_ends_the_process_at_once(self):
        for handler in (
            PASS,
            "import time\ndef process(message): time.sleep(60)\n",
            "import time\nasync def process(message): time.sleep(60)\n",
        ):
            with self.subTest(handler), Worker(handler) as worker:
                worker.ready().deliver(1)
                worker.socket.shutdown(2)
                self.assertEqual(worker.exit_code(), 1)

    def test_sigterm_ends_it_and_sigint_does_not(self):
        with Worker(PASS) as worker:
            worker.ready()
            os.kill(worker.process.pid, signal.SIGINT)
            self.assertEqual(worker.handle(1), "done")
            os.kill(worker.process.pid, signal.SIGTERM)
            self.assertEqual(worker.exit_code(), -signal.SIGTERM)

    def test_a_python_that_is_too_old_says_so_in_a_frame(self):
        ours, theirs = socket.socketpair()
        project = Project()
        self.addCleanup(project.remove)
        code = "import sys, runpy; sys.version_info = (3, 6, 9); runpy.run_path('.less/python/less_worker.py', run_name='__main__')"
        with ours, theirs:
            run = subprocess.run(
                [sys.executable, "-c", code],
                cwd=project.root,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "LESS_WORKER_FD": str(theirs.fileno())},
                stderr=subprocess.DEVNULL,
            )
            data = ours.recv(10_000)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(int.from_bytes(data[:4], "big"), len(data) - 4)
        text = "Python 3.6 is too old, 3.9 or later is needed\nhint: make `.venv` anew with a later one"
        self.assertEqual(json.loads(data[4:]), {"type": "failed", "error": text})

    def test_a_signal_that_kills_just_ends_it(self):
        with Worker(
            "import os, signal\ndef process(message): os.kill(os.getpid(), signal.SIGSEGV)\n"
        ) as worker:
            worker.ready().deliver(1)
            self.assertEqual(worker.exit_code(), -signal.SIGSEGV)

    def test_without_a_descriptor_it_says_who_starts_it(self):
        with Worker(PASS, env={"LESS_WORKER_FD": ""}, start=False) as worker:
            self.assertEqual(worker.exit_code(), 2)
            self.assertIn("hint: run `less dev`", worker.output())
