"""Loads the handler as a package of its own name, and makes what it imports importable."""

import importlib.util
import json
import os
import re
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

# Tells processes that multiprocessing spawns what they may be asked for.
_VARIABLE = "_LESS_HANDLER"


def load(root, topic, subscriber, file):
    """The handler's module. Whatever it raises while it is loaded comes out."""
    path = os.path.join(root, file)
    name = re.sub(r"\W", "_", f"less_handler_{topic}__{subscriber}", flags=re.ASCII)
    first = [os.path.dirname(path), os.path.join(root, "less", "shared"), root]
    sys.path[:] = first + [other for other in sys.path if other not in first]
    os.environ[_VARIABLE] = json.dumps([root, name, path])
    _announce(root, name, path)
    # Not importlib.import_module: its own frame would stand in the traceback.
    __import__(name)
    return sys.modules[name]


def announce_in_child():
    """In a process that a handler started with multiprocessing: functions of the handler's module can be found."""
    if _VARIABLE in os.environ:
        _announce(*json.loads(os.environ[_VARIABLE]))


def _announce(root, name, path):
    sys.meta_path.insert(0, _HandlerFinder(name, path))
    sys.path_hooks.insert(0, _hook(root.rstrip(os.sep)))
    sys.path_importer_cache.clear()


class _HandlerFinder:
    """Finds one module, which no folder could hold."""

    def __init__(self, name, path):
        self._name = name
        self._path = path

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(
            name,
            self._path,
            loader=_Fresh(name, self._path),
            submodule_search_locations=[os.path.dirname(self._path)],
        )

    def invalidate_caches(self):
        """Nothing is cached."""


class _Fresh(SourceFileLoader):
    """Compiles each time. Compiled files are told apart by whole seconds and size: what is edited twice in a second would run as it was before."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _hook(root):
    """For the app's own folders; those of installed packages keep their compiled files."""

    def hook(folder):
        inside = folder == root or folder.startswith(root + os.sep)
        if not inside or re.search(r"[/\\](site-packages|\.venv|\.less)([/\\]|$)", folder[len(root) :]):
            raise ImportError("not the app's own folder", path=folder)
        if not os.path.isdir(folder):
            raise ImportError("only folders are supported", path=folder)
        return FileFinder(
            folder,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (_Fresh, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    return hook
