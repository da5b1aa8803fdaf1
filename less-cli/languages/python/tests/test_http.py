"""Publishing from outside a worker, to a fake app."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

from tests.client import less, project
from tests.fake_http import FakeHttp, accept_all, free_port

import less._connection
import less._http

topics = less.topics


class Http(unittest.TestCase):
    def setUp(self):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LESS_")}
        for patch in (
            mock.patch.dict(os.environ, clean, clear=True),
            mock.patch.object(less._http, "_connections", less._connection.Connections()),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def app(self, *arguments, **more):
        app = FakeHttp(*arguments, **more)
        self.addCleanup(app.close)
        os.environ["LESS_URL"] = app.url
        return app

    def error(self, call=lambda: topics.other.publish(1)):
        with self.assertRaises(less.PublishError) as caught:
            call()
        return caught.exception


class Requests(Http):
    def test_a_message_is_one_request_in_one_write(self):
        app = self.app()
        self.assertEqual(topics.user_created.publish({"email": "ü"}, key="k"), less.Receipt("m0", False))
        request = app.requests[0]
        self.assertEqual(request["line"], "POST /_less/topics/user_created/batch HTTP/1.1")
        self.assertEqual(request["body"], [{"body": {"email": "ü"}, "key": "k"}])
        self.assertEqual(request["reads"], 1)
        self.assertEqual(request["headers"]["content-type"], "application/json")
        self.assertEqual(request["headers"]["host"], f"127.0.0.1:{app.port}")
        self.assertNotIn("authorization", request["headers"])

    def test_the_key_is_a_bearer_token(self):
        app = self.app()
        os.environ["LESS_API_KEY"] = "0123456789abcdef"
        topics.other.publish(1)
        self.assertEqual(app.requests[0]["headers"]["authorization"], "Bearer 0123456789abcdef")
        os.environ["LESS_API_KEY"] = "bad\r\nX-Evil: 1"
        self.assertEqual(self.error().type, "urn:less:wrong-api-key")
        self.assertEqual(len(app.requests), 1)

    def test_a_path_in_the_url_is_kept_and_proxies_are_not_used(self):
        app = self.app()
        os.environ.update(
            LESS_URL=app.url + "/prefix/",
            http_proxy="http://127.0.0.1:1",
            HTTP_PROXY="http://127.0.0.1:1",
            ALL_PROXY="http://127.0.0.1:1",
        )
        topics.other.publish(1)
        self.assertEqual(app.requests[0]["line"], "POST /prefix/_less/topics/other/batch HTTP/1.1")

    def test_async_and_many(self):
        app = self.app()

        async def main():
            one = await topics.other.publish_async(1)
            many = await topics.other.publish_many_async(range(10_001))
            together = await asyncio.gather(*(topics.other.publish_async(n) for n in range(50)))
            return one, len(many), len(together)

        self.assertEqual(asyncio.run(main()), (less.Receipt("m0", False), 10_001, 50))
        self.assertEqual([len(request["body"]) for request in app.requests[:3]], [1, 10_000, 1])

    def test_ipv6_and_https(self):
        try:
            app = FakeHttp(address=("::1", 0))
        except OSError:
            app = None  # No IPv6 on this machine.
        if app:
            self.addCleanup(app.close)
            os.environ["LESS_URL"] = f"http://[::1]:{app.port}"
            topics.other.publish(1)
            self.assertEqual(app.requests[0]["headers"]["host"], f"[::1]:{app.port}")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        key, certificate = os.path.join(folder.name, "key"), os.path.join(folder.name, "cert")
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                key,
                "-out",
                certificate,
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        app = self.app(context=context)
        os.environ["LESS_URL"] = f"https://localhost:{app.port}"
        self.assertRegex(str(self.error()), "the app at https://localhost:.* is not trusted: .*certificate")
        os.environ["SSL_CERT_FILE"] = certificate
        topics.other.publish(1)
        topics.other.publish(2)
        self.assertEqual([request["body"][0]["body"] for request in app.requests], [1, 2])
        self.assertIs(app.requests[0]["connection"], app.requests[1]["connection"])


class Connections(Http):
    def connections(self, app):
        return len({id(request["connection"]) for request in app.requests})

    def test_a_thread_keeps_its_connection_and_each_has_its_own(self):
        app = self.app()
        for _ in range(20):
            topics.other.publish(1)
        self.assertEqual((len(app.requests), self.connections(app)), (20, 1))
        barrier = threading.Barrier(5)

        def publish():
            barrier.wait(20)
            for _ in range(20):
                topics.other.publish(1)

        threads = [threading.Thread(target=publish) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(app.requests), self.connections(app)), (120, 6))

    def test_a_connection_that_the_app_closed_is_not_used(self):
        app = self.app()
        topics.other.publish(1)
        app.close_connections()
        topics.other.publish(1)
        app.keep = False
        topics.other.publish(1)
        topics.other.publish(1)
        self.assertEqual((len(app.requests), self.connections(app)), (4, 3))

    def test_an_answer_that_nobody_asked_for_is_never_taken_for_another(self):
        app = self.app()
        topics.other.publish(1)
        body = b'{"results":[{"message_id":"wrong","duplicate":false}]}'
        app.connections[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertEqual(topics.other.publish(1).message_id, "m0")
        self.assertEqual(self.connections(app), 2)

    def test_one_that_was_idle_for_long_is_not_used(self):
        app = self.app()
        topics.other.publish(1)
        later = time.monotonic() + 5.1
        with mock.patch.object(less._connection.time, "monotonic", lambda: later):
            topics.other.publish(1)
        self.assertEqual(self.connections(app), 2)

    def test_a_forked_child_opens_its_own(self):
        app = self.app()
        topics.other.publish("parent")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                topics.other.publish("child")
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        topics.other.publish("parent")
        first, child, again = app.requests
        self.assertIs(first["connection"], again["connection"])
        self.assertIsNot(first["connection"], child["connection"])


class Discovery(Http):
    def publish_in(self, folder, expect=0, **env):
        code = "from less import topics\nprint(topics.other.publish(1).message_id)"
        python = os.path.join(project.root, ".less", "python")
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": python, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.assertEqual(run.returncode, expect, run.stderr.decode())
        return (run.stdout + run.stderr).decode().strip()

    def address(self, folder, url):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "address.json"), "w") as file:
            json.dump({"url": url, "pid": 1}, file)

    def test_the_address_file_is_found_upwards_in_less_data_or_beside_the_package(self):
        def named(name):
            app = self.app(lambda _: (200, {"results": [{"message_id": name, "duplicate": False}]}))
            del os.environ["LESS_URL"]
            return app.url

        with tempfile.TemporaryDirectory() as folder:
            below = os.path.join(folder, "a", "b")
            os.makedirs(below)
            text = self.publish_in(below, expect=1)
            self.assertIn(
                "PublishError: no running app was found: no .less/data/address.json here or above", text
            )
            self.assertIn("hint: start it with `less dev`, or set LESS_URL to where it runs", text)
            beside = os.path.join(project.root, ".less", "data")
            self.address(beside, named("beside"))
            self.addCleanup(os.remove, os.path.join(beside, "address.json"))
            self.assertEqual(self.publish_in(below), "beside")
            self.address(os.path.join(folder, ".less", "data"), named("above"))
            self.assertEqual(self.publish_in(below), "above")
            self.address(os.path.join(folder, "elsewhere"), named("data"))
            self.assertEqual(self.publish_in(below, LESS_DATA=os.path.join(folder, "elsewhere")), "data")
            self.assertIn("(LESS_DATA)", self.publish_in(below, expect=1, LESS_DATA=below))
            url = named("url")
            self.assertEqual(self.publish_in(below, LESS_URL=url, LESS_DATA=below), "url")

    def test_an_address_of_another_app_or_of_a_process_that_has_ended_is_none(self):
        app = self.app()
        del os.environ["LESS_URL"]
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        namespace = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else None
        own = {"url": app.url, "pid": os.getpid(), "pid_namespace": namespace, "app": "shop"}
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, ".less", "data")
            os.makedirs(data)
            path = os.path.join(data, "address.json")

            def publish_at(expect=0, **more):
                with open(path, "w") as file:
                    json.dump({**own, **more}, file)
                return self.publish_in(folder, expect)

            self.assertEqual(publish_at(), "m0")
            self.assertEqual(app.requests[-1]["headers"]["less-app"], "shop")
            self.assertIn("no running app was found: no .less/data", publish_at(expect=1, app="billing"))
            self.assertIn("no running app was found: no .less/data", publish_at(expect=1, folder=1))
            stale = f"no running app answers at {app.url}: process {ended.pid}, which has written {os.path.realpath(path)}, has ended"
            self.assertIn(stale, publish_at(expect=1, pid=ended.pid))
            # A container's numbers of processes are its own.
            self.assertEqual(publish_at(pid=ended.pid, pid_namespace="pid:[1]"), "m0")
        self.assertEqual(len(app.requests), 2)

    def test_an_address_that_may_not_be_read_is_told(self):
        denied = PermissionError(13, "Permission denied")
        with mock.patch("less._address.open", side_effect=denied, create=True):
            with self.assertRaises(less.PublishError) as caught:
                topics.other.publish(1)
        text = str(caught.exception)
        self.assertRegex(text, "^can't read .*address.json, where the running app's address is\n")
        self.assertIn("hint: an app's data folder is its user's alone: set LESS_URL to where it runs", text)

    def test_an_app_that_started_again_elsewhere_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LESS_DATA"] = folder
            first = FakeHttp()
            self.address(folder, first.url)
            topics.other.publish(1)
            first.close()
            second = FakeHttp()
            self.addCleanup(second.close)
            self.address(folder, second.url)
            topics.other.publish(1)
            self.assertEqual(len(second.requests), 1)
            # And where the file changes after it was read.
            with mock.patch.object(
                less._http, "find", mock.Mock(side_effect=[f"http://127.0.0.1:{free_port()}", second.url])
            ):
                topics.other.publish(1)
            self.assertEqual(len(second.requests), 2)


class Failures(Http):
    def test_nobody_there(self):
        url = os.environ["LESS_URL"] = f"http://127.0.0.1:{free_port()}"
        error = self.error()
        self.assertEqual(error.type, "urn:less:no-app")
        self.assertEqual(
            str(error),
            f"no running app answers at {url}: Connection refused\nhint: start it with `less dev`, or set LESS_URL to where it runs",
        )

    def test_urls_that_are_none(self):
        for url in (
            "127.0.0.1:4100",
            "ftp://x",
            "http://",
            "http://a:b@c",
            "http://x:99999",
            "http://x/?q",
            "http://x\r\ny",
            "http://[::1",
            "http://ü",
        ):
            with self.subTest(url):
                os.environ["LESS_URL"] = url
                error = self.error()
                self.assertEqual(error.type, "urn:less:bad-url")
                self.assertNotIn("less dev", str(error))

    def test_a_scheme_that_is_missing_is_named(self):
        for url in ("localhost:21000", "127.0.0.1:4100", "localhost"):
            with self.subTest(url):
                os.environ["LESS_URL"] = url
                self.assertEqual(
                    str(self.error()),
                    f"`{url}` is no URL of an app: `http://` or `https://` is missing\nhint: http://{url}",
                )

    def test_a_certificate_that_is_not_trusted_is_told_as_that(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        url = os.environ["LESS_URL"] = "https://127.0.0.1:%d" % listener.getsockname()[1]
        refused = ssl.SSLCertVerificationError("refused")
        refused.verify_message = "self-signed certificate"
        with mock.patch.object(ssl.SSLContext, "wrap_socket", side_effect=refused):
            error = self.error()
        self.assertEqual(error.type, "urn:less:untrusted")
        self.assertIn(f"the app at {url} is not trusted: self-signed certificate\nhint: set SSL_CERT_FILE", str(error))

    def test_a_failure_after_sending_says_that_the_outcome_is_unknown(self):
        for answer in (
            None,
            (200, b'{"results":['),
            (200, b"<html>"),
            (200, {"results": []}),
            (200, {"results": "x"}),
            (204, b""),
            (200, b"\xff"),
            (200, b"[" * 100_000),
        ):
            with self.subTest(str(answer)[:40]):
                self.app(lambda _, answer=answer: answer)
                error = self.error()
                self.assertEqual(error.type, "urn:less:unavailable")
                self.assertIn("it is unknown", str(error))
                self.assertIn("\nhint: ", str(error))

    def test_what_is_no_http_and_what_ends_early(self):
        for text in (
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            b"HTTP/1.1 999999 X\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ):

            def answer(request, text=text):
                request["connection"].sendall(text)

            with self.subTest(text):
                self.app(answer)
                self.assertIn("it is unknown whether the message was stored", str(self.error()))

    def test_no_answer_in_time(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.app(lambda request: gate.wait(30) and accept_all(request))
        with mock.patch.object(less._connection, "ANSWER_TIMEOUT", 0.2):
            self.assertIn("there was no answer within", str(self.error()))

    def test_no_connection_in_time(self):
        # A full backlog: the kernel answers nothing.
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fill = []
        for _ in range(4):
            one = socket.socket()
            self.addCleanup(one.close)
            one.setblocking(False)
            one.connect_ex(address)
            fill.append(one)
        os.environ["LESS_URL"] = "http://127.0.0.1:%d" % address[1]
        start = time.monotonic()
        self.assertEqual(self.error().type, "urn:less:no-app")
        self.assertLess(time.monotonic() - start, 10)

    def test_problems_carry_their_members_and_a_next_step(self):
        def problem(status, type, detail, **more):
            return status, {
                "type": f"urn:less:{type}",
                "status": status,
                "title": "t",
                "detail": detail,
                **more,
            }

        for answer, said, members in [
            (
                problem(401, "no-api-key", "a key is needed"),
                "a key is needed\nhint: set LESS_API_KEY to the key that the app was started with",
                {},
            ),
            (problem(403, "wrong-api-key", "another key"), "another key\nhint: set LESS_API_KEY", {}),
            (
                problem(404, "unknown-topic", "no topic", nearest="other"),
                "no topic\nhint: use `topics.other`, or run `less build`",
                {"nearest": "other"},
            ),
            (
                problem(413, "too-large", "20 MiB", setting="max_message"),
                "20 MiB\nhint: store what is large elsewhere, and publish where it is; or raise `max_message` in the topic's",
                {},
            ),
            (
                problem(413, "too-large", "20 MiB", setting="max_body"),
                "20 MiB\nhint: store what is large elsewhere, and publish where it is; or raise `max_body` in",
                {},
            ),
            (problem(413, "too-large", "20 MiB"), "20 MiB\nhint: store what is large elsewhere", {}),
            (
                problem(503, "unavailable", "ends"),
                "ends\nhint: publish it again; with the same `idempotency_key`",
                {},
            ),
            (problem(507, "full", "full"), "full\nhint: make room", {}),
            ((502, b"<html>"), "the app answered 502 without a reason", {"type": "about:blank"}),
            ((500, b"[]"), "the app answered 500 without a reason", {"type": "about:blank"}),
            ((401, b""), "the app answered 401 without a reason\nhint: set LESS_API_KEY", {}),
        ]:
            with self.subTest(said):
                self.app(lambda _, answer=answer: answer)
                error = self.error()
                self.assertTrue(str(error).startswith(said), str(error))
                self.assertEqual(error.status, answer[0])
                for name, value in members.items():
                    self.assertEqual(getattr(error, name), value)

    def test_a_message_that_does_not_fit_points_to_the_place(self):
        problem = {
            "type": "urn:less:does-not-fit",
            "status": 422,
            "detail": "the message does not fit `UserCreated` at `/email`: missing",
            "pointer": "/email",
        }
        self.app(lambda _: (200, {"results": [{"error": problem}]}))
        error = self.error()
        self.assertEqual((error.type, error.status, error.pointer), ("urn:less:does-not-fit", 422, "/email"))
        self.assertEqual(
            str(error),
            "the message does not fit `UserCreated` at `/email`: missing\nhint: change the message at `/email`",
        )

    def test_publish_many_tells_each_result(self):
        def answer(request):
            return 200, {
                "results": [
                    (
                        {"message_id": "m", "duplicate": False}
                        if item["body"]
                        else {"error": {"type": "urn:less:busy", "status": 429, "detail": "too many"}}
                    )
                    for item in request["body"]
                ]
            }

        self.app(answer)
        error = self.error(lambda: topics.other.publish_many([1, 0, 1, 0]))
        self.assertIsInstance(error, less.PublishManyError)
        self.assertEqual([type(result).__name__ for result in error.results], ["Receipt", "PublishError"] * 2)
        self.assertTrue(
            str(error).startswith("2 of 4 messages were not accepted; the first error: too many\nhint: ")
        )

    def test_publish_many_stops_where_the_connection_does(self):
        app = self.app(lambda request: accept_all(request) if len(app.requests) == 1 else None)
        error = self.error(lambda: topics.other.publish_many(range(30_000)))
        self.assertEqual(len(app.requests), 2)
        self.assertTrue(all(isinstance(result, less.Receipt) for result in error.results[:10_000]))
        self.assertTrue(all("it is unknown" in str(result) for result in error.results[10_000:20_000]))
        self.assertTrue(all("it was not sent" in str(result) for result in error.results[20_000:]))
        self.assertEqual(len(error.results), 30_000)
