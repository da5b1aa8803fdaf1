"""The worker for handlers in Python: `python -u .less/python/less_worker.py`, started by the app.

The package `less` beside this file enters `sys.modules` here, before any of the user's code is found: neither a `less.py` beside a handler nor the
folder `less/` in the app's root can take its name.

Processes that handlers start with multiprocessing (spawn, forkserver) import this file too, under the name `__mp_main__`: in them `less` and the
handler's module are importable, and nothing else happens.
"""

import importlib.util
import os
import sys


def _bring_in_less():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "less")
    spec = importlib.util.spec_from_file_location(
        "less", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["less"] = module
    spec.loader.exec_module(module)


if "less" not in sys.modules:
    _bring_in_less()

if __name__ == "__main__":
    from less._worker import main

    main()
elif __name__ == "__mp_main__":
    from less._worker.handler_module import announce_in_child

    announce_in_child()
