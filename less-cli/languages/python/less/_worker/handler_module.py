"""Loads the handler as a package of its own name, and makes what it imports importable."""

import importlib.util
import os
import re
import sys


def load(root, topic, subscriber, file):
    """The handler's module. Whatever it raises while it is loaded comes out."""
    folder = os.path.dirname(os.path.join(root, file))
    first = [folder, os.path.join(root, "less", "shared"), root]
    sys.path[:] = first + [path for path in sys.path if path not in first]
    name = _name(topic, subscriber)
    sys.meta_path.insert(0, _Finder(name, os.path.join(root, file)))
    # A process that multiprocessing spawns gets these too, and finds the module by them.
    sys.argv[:] = [sys.argv[0], name, os.path.join(root, file)]
    # Not importlib.import_module: its own frame would stand in the traceback.
    __import__(name)
    return sys.modules[name]


def announce_in_child():
    """In a process that a handler started with multiprocessing: functions of the handler's module can be found."""
    if len(sys.argv) == 3 and sys.argv[1].startswith("less_handler_"):
        sys.meta_path.insert(0, _Finder(sys.argv[1], sys.argv[2]))


def _name(topic, subscriber):
    return re.sub(r"\W", "_", f"less_handler_{topic}__{subscriber}", flags=re.ASCII)


class _Finder:
    """Finds one module, which no folder could hold."""

    def __init__(self, name, path):
        self._name = name
        self._path = path

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        folder = [os.path.dirname(self._path)]
        return importlib.util.spec_from_file_location(name, self._path, submodule_search_locations=folder)

    def invalidate_caches(self):
        pass
