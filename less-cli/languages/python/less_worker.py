"""The worker for handlers in Python: `python -u .less/python/less_worker.py`, started by the app.

The package `less` beside this file enters `sys.modules` here, before any of the user's code is found: neither a `less.py` beside a handler nor the
folder `less/` in the app's root can take its name.

Processes that handlers start with multiprocessing (spawn, forkserver) import this file too, under the name `__mp_main__`: in them `less` and the
handler's module are importable, and nothing else happens.
"""

import os
import sys

if sys.version_info < (3, 9):
    # The rest would be a syntax error here. Whoever started this waits for a frame.
    _text = "Python %d.%d is too old, 3.9 or later is needed" % sys.version_info[:2]
    _text += "; hint: make `.venv` anew with a later one"
    _frame = ('{"type":"failed","error":"%s"}' % _text).encode("ascii").replace(b"; hint", b"\\nhint")
    sys.stderr.write(_text + "\n")
    if os.environ.get("LESS_WORKER_FD"):
        os.write(int(os.environ["LESS_WORKER_FD"]), len(_frame).to_bytes(4, "big") + _frame)
    sys.exit(1)

import importlib.util  # noqa: E402


def _bring_in_less():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "less")
    spec = importlib.util.spec_from_file_location(
        "less", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["less"] = module
    spec.loader.exec_module(module)


def _show_to_children():
    """Programs that handlers start find the package: in the app's folder they would take the folder `less/` for it."""
    folder = os.path.dirname(os.path.abspath(__file__))
    others = os.environ.get("PYTHONPATH")
    if os.pathsep not in folder:  # Such a folder can't be in the list.
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, others] if others else [folder])


if "less" not in sys.modules:
    _bring_in_less()

if __name__ == "__main__":
    _show_to_children()
    from less._worker import main

    main()
elif __name__ == "__mp_main__":
    from less._worker.handler_module import announce_in_child

    announce_in_child()
