import json
import sys
import warnings

warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    try:
        with open(name, "rb") as file:
            compile(file.read(), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        print(json.dumps({"file": name, "line": error.lineno, "message": f"{type(error).__name__}: {error.msg}"}))
    except (OSError, ValueError) as error:
        print(json.dumps({"file": name, "line": None, "message": f"{type(error).__name__}: {error}"}))
