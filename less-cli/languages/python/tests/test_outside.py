"""How a program of the user's finds the package, as docs/python.md has it: the app's folder has a folder `less/` of its own."""

import os
import subprocess
import sys
import tempfile
import unittest

from tests.fake_app import Project
from tests.fake_http import FakeHttp

PTH = (
    "import pathlib, sysconfig; "
    'pathlib.Path(sysconfig.get_path("purelib"), "less.pth").write_text(str(pathlib.Path(".less/python").resolve()))'
)


class Outside(unittest.TestCase):
    def setUp(self):
        self.project = Project(
            {"server.py": "from less import topics\nprint(topics.other.publish(1).message_id)\n"}
        )
        self.project.write("less/topics/other/audit/__init__.py", "def process(message): pass\n")
        self.addCleanup(self.project.remove)
        self.app = FakeHttp()
        self.addCleanup(self.app.close)

    def run_python(self, program, *arguments, **env):
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        run = subprocess.run(
            [program, *arguments],
            cwd=self.project.root,
            env={**clean, "LESS_URL": self.app.url, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_pythonpath_is_enough(self):
        self.assertEqual(self.run_python(sys.executable, "server.py", PYTHONPATH=".less/python"), "m0\n")
        self.assertEqual(self.run_python(sys.executable, "-m", "server", PYTHONPATH=".less/python"), "m0\n")

    def test_a_line_in_the_virtual_environment_is_enough(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_python(sys.executable, "-m", "venv", "--without-pip", folder)
            python = os.path.join(folder, "bin", "python")
            self.run_python(python, "-c", PTH)
            self.assertEqual(self.run_python(python, "server.py"), "m0\n")
            self.assertEqual(self.run_python(python, "-m", "server"), "m0\n")
