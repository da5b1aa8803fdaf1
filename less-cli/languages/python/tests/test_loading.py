"""What a handler may import, and what is said when it can't be loaded."""

import glob
import os
import py_compile
import unittest

from tests.fake_app import Worker

OK = "\ndef process(message): pass\n"
WRITES = {"PYTHONDONTWRITEBYTECODE": ""}
FOLDER = "less/topics/user_created/audit/"


class Imports(unittest.TestCase):
    def loads(self, handler, files=None, env=None):
        with Worker(handler + OK, files, env=env) as worker:
            self.assertEqual(worker.ready().handle(1), "done", worker.output())

    def test_nothing_takes_the_name_less(self):
        other = "raise RuntimeError('the wrong less')"
        for path in (
            FOLDER + "less.py",
            "less.py",
            "less/__init__.py",
            "less/shared/less.py",
            FOLDER + "less/__init__.py",
        ):
            self.loads(
                "from less import topics, Context, UserCreated\nassert topics.user_created", {path: other}
            )

    def test_message_types_are_importable(self):
        self.loads(
            "from less import UserCreated, UserCreated_Address\nassert UserCreated(email='x') == {'email': 'x'}"
        )

    def test_files_beside_the_handler(self):
        files = {FOLDER + "helper.py": "x = 5", FOLDER + "deep/__init__.py": "from ..helper import x"}
        self.loads(
            "from . import helper\nfrom .helper import x\nfrom .deep import x as y\nassert helper.x == x == y",
            files,
        )
        self.loads("import helper\nfrom helper import x\nassert x == 5", files)

    def test_shared_modules_and_packages(self):
        files = {
            "less/shared/db.py": "x = 5",
            "less/shared/mail/__init__.py": "from .send import y",
            "less/shared/mail/send.py": "y = 6",
        }
        self.loads("from db import x\nfrom mail import y\nimport mail.send\nassert (x, y) == (5, 6)", files)

    def test_the_apps_root_comes_after_shared_and_the_handlers_folder_first(self):
        files = {
            "a.py": "x = 'root'",
            "less/shared/a.py": "x = 'shared'",
            "b.py": "x = 'root'",
            "less/shared/c.py": "x = 'shared'",
            FOLDER + "c.py": "x = 'own'",
        }
        self.loads("import a, b, c\nassert (a.x, b.x, c.x) == ('shared', 'root', 'own')", files)

    def test_files_named_like_the_standard_library_do_not_break_the_worker(self):
        names = (
            "asyncio",
            "json",
            "queue",
            "selectors",
            "ssl",
            "socket",
            "inspect",
            "traceback",
            "threading",
            "collections",
            "types",
            "http",
            "difflib",
            "heapq",
        )
        self.loads("", {**{f"{FOLDER}{name}.py": "raise RuntimeError(__file__)" for name in names}})

    def test_the_environment_and_the_descriptor_are_clean(self):
        self.loads(
            "import os\nassert 'LESS_WORKER_FD' not in os.environ\nassert not any(os.get_inheritable(int(fd)) for fd in os.listdir('/proc/self/fd') if int(fd) > 2 and os.path.exists(f'/proc/self/fd/{fd}'))"
        )
        self.loads(
            "import os, subprocess\nout = subprocess.run(['ls', '-l', '/proc/self/fd'], stdout=subprocess.PIPE, close_fds=False).stdout\nassert b'socket' not in out, out"
        )

    def test_signals_are_as_promised(self):
        self.loads(
            "import signal\nassert signal.getsignal(signal.SIGINT) == signal.SIG_IGN\nassert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL"
        )

    def test_asyncio_objects_made_while_loading_belong_to_the_handlers_loop(self):
        handler = """
            import asyncio
            async def nothing(): pass
            asyncio.run(nothing())
            lock = None
            async def process(message):
                global lock
                lock = lock or asyncio.Lock()
                async with lock:
                    await asyncio.sleep(0)
        """
        with Worker(handler) as worker:
            self.assertEqual(worker.ready().handle(1), "done")
        with Worker(
            "import asyncio\nlock = asyncio.Lock()\nasync def process(message):\n    async with lock: await asyncio.sleep(0.01)\n"
        ) as worker:
            ids = worker.ready().deliver(1, 2, 3)
            self.assertEqual([worker.outcome(id) for id in ids], ["done"] * 3)

    def test_ready_names_protocol_and_runtime(self):
        with Worker(OK) as worker:
            ready = worker.ready().of("ready")[0]
            self.assertEqual(ready["protocol"], 1)
            self.assertRegex(ready["runtime"], r"^Python 3\.\d+\.\d+")

    def test_warnings_are_logged_as_python_does(self):
        with Worker(
            "import logging\nlogging.getLogger(__name__).warning('look')\nlogging.info('not this')\ndef process(message): pass\n"
        ) as worker:
            worker.ready()
            self.assertEqual(worker.stop(), 0)
            self.assertEqual(worker.output(), "look\n")


class Compiled(unittest.TestCase):
    def test_no_compiled_file_of_the_apps_own_is_read_or_written(self):
        sources = {
            FOLDER + "helper.py": "x = %d\n",
            "less/shared/db.py": "x = %d\n",
        }
        handler = "import helper, db\nfrom . import helper as h\ndef process(message): raise ValueError(helper.x + db.x + h.x)\n"
        with Worker(handler, {path: text % 1 for path, text in sources.items()}, env=WRITES) as worker:
            self.assertTrue(worker.ready().handle(1)["error"].startswith("ValueError: 3\n"))
            self.assertFalse(glob.glob(f"{worker.root}/less/**/*.pyc", recursive=True))
            for path, text in sources.items():
                # The same second and the same size: compiled files could not tell these apart.
                full = os.path.join(worker.root, path)
                before = os.stat(full)
                py_compile.compile(full)
                worker.project.write(path, text % 2)
                os.utime(full, ns=(before.st_atime_ns, before.st_mtime_ns))
            with Worker(handler, env=WRITES, project=worker.project) as again:
                self.assertTrue(again.ready().handle(1)["error"].startswith("ValueError: 6\n"))

    def test_installed_packages_keep_their_compiled_files(self):
        files = {".venv/lib/site-packages/installed.py": "x = 5\n"}
        handler = "import sys\nsys.path.append('.venv/lib/site-packages')\nsys.path.append(__file__.split('less/')[0] + '.venv/lib/site-packages')\nimport installed\n"
        with Worker(handler + OK, files, env=WRITES) as worker:
            worker.ready()
            self.assertTrue(os.path.isdir(os.path.join(worker.root, ".venv/lib/site-packages/__pycache__")))


class Failures(unittest.TestCase):
    def failure(self, handler, files=None, **more):
        with Worker(handler, files, **more) as worker:
            return worker.failure()

    def test_a_syntax_error_shows_the_line(self):
        text = self.failure("x = 1\ndef process(message)\n    pass\n")
        self.assertRegex(text, r"^SyntaxError: (expected ':'|invalid syntax)\n")
        self.assertIn(f'  File "{Worker.FILE}", line 2\n    def process(message)\n', text)
        self.assertNotIn("importlib", text)

    def test_an_exception_while_loading_has_the_users_traceback_alone(self):
        text = self.failure("import helper\n", {FOLDER + "helper.py": "def f():\n    return 1 / 0\nf()\n"})
        self.assertEqual(
            text,
            f'ZeroDivisionError: division by zero\n  File "{Worker.FILE}", line 1, in <module>\n    import helper\n'
            f'  File "{FOLDER}helper.py", line 3, in <module>\n    f()\n  File "{FOLDER}helper.py", line 2, in f\n    return 1 / 0',
        )

    def test_a_missing_dependency_says_how_to_install_it(self):
        text = self.failure("import nonexistent_thing.part\n")
        self.assertRegex(text, r"^ModuleNotFoundError: No module named 'nonexistent_thing'\n")
        self.assertRegex(
            text,
            r"\nhint: install it with `.*pip install nonexistent_thing`, or put a module `nonexistent_thing` into less/shared$",
        )

    def test_a_relative_import_from_outside_of_the_subscriber_says_where_to_put_it(self):
        text = self.failure("from ..common import x\n", {"less/topics/user_created/common.py": "x = 1"})
        self.assertEqual(
            text.split("\n")[0], "ImportError: attempted relative import beyond top-level package"
        )
        self.assertTrue(
            text.endswith(
                "\nhint: the subscriber's folder is the top of its package: put what several share into less/shared, and import it by its name"
            ),
            text,
        )

    def test_a_name_that_less_does_not_have_is_told_with_the_nearest(self):
        for line, hint in [
            ("from less import topic", "`less` has no `topic`, did you mean `topics`?"),
            ("from less import UserCraeted", "`less` has no `UserCraeted`, did you mean `UserCreated`?"),
            ("from less import xyz", "`less` has no `xyz`"),
        ]:
            self.assertTrue(self.failure(line + "\n").endswith(f"\nhint: {hint}"))
        text = self.failure("import less\nless.topic\n")
        self.assertTrue(
            text.startswith(
                "AttributeError: module 'less' has no attribute 'topic', did you mean `topics`?\n"
            )
        )

    def test_sys_exit_while_loading(self):
        text = self.failure("import sys\nsys.exit(0)\n")
        self.assertEqual(
            text,
            f'`sys.exit(0)` was called while the handler was loaded\n  File "{Worker.FILE}", line 2, in <module>\n    sys.exit(0)',
        )

    def test_other_things_that_end_loading(self):
        self.assertTrue(self.failure("raise KeyboardInterrupt\n").startswith("KeyboardInterrupt"))
        self.assertTrue(
            self.failure("from less import topics\ntopics.user_craeted\n").startswith(
                "UnknownTopic: app `shop` has no topic `user_craeted`, did you mean `user_created`?"
            )
        )
        self.assertIn("null bytes", self.failure("x = '\0'\n"))

    def test_a_thread_that_loading_started_does_not_hold_the_process(self):
        self.assertTrue(
            self.failure(
                "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nraise ValueError(1)\n"
            )
        )

    def test_another_protocol_is_refused(self):
        self.assertEqual(
            self.failure(OK, protocol=2),
            "the app speaks version 2 of the worker protocol, this worker version 1\nhint: run `less build`",
        )

    def test_stop_while_loading_ends_at_once(self):
        with Worker("import time\nprint('loading')\ntime.sleep(60)\n") as worker:
            self.assertEqual(worker.stop(), 0)
