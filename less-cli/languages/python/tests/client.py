"""The package `less` of a generated app, imported into the tests' own process."""

import atexit
import importlib
import os
import sys

from tests.fake_app import Project

project = Project()
atexit.register(project.remove)
sys.path.insert(0, os.path.join(project.root, ".less", "python"))
less = importlib.import_module("less")
sys.path.pop(0)
