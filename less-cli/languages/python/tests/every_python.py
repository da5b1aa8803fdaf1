"""Runs the tests on every version of Python that Less supports: `python tests/every_python.py [PROGRAM …]`.

`--find VERSION…` only prints where they are. Without arguments it looks for `python3.9` to `python3.13` on PATH, and in pyenv's versions. A version that is missing is said, and makes the run fail.
"""

import glob
import os
import shutil
import subprocess
import sys

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def main():
    if sys.argv[1:2] == ["--find"]:
        print(*(found for version in sys.argv[2:] for found in find(version)), sep="\n")
        return
    programs = sys.argv[1:] or [found for version in VERSIONS for found in find(version)]
    failed = 0
    for program in programs:
        print(f"--- {program}", flush=True)
        run = subprocess.run([program, "-m", "unittest", "discover", "-s", "tests", "-t", "."], cwd=FOLDER)
        failed += run.returncode != 0
    seen = {version_of(program) for program in programs}
    missing = [version for version in VERSIONS if version not in seen]
    if missing:
        print(f"missing: Python {', '.join(missing)}")
    sys.exit(1 if failed or missing else 0)


def find(version):
    """A program of this version, if there is one."""
    pyenv = os.path.join(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"), "versions")
    candidates = [shutil.which(f"python{version}"), *sorted(glob.glob(f"{pyenv}/{version}.*/bin/python"))]
    return [program for program in candidates if program and version_of(program) == version][:1]


def version_of(program):
    try:
        return subprocess.run(
            [program, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout.strip()
    except OSError:
        return None


if __name__ == "__main__":
    main()
