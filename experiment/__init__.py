"""The machinery of runs; without the packages that it needs it says how to get them."""

import sys
from importlib.util import find_spec

if find_spec("hydra") is None:
    print(
        f"firsthand: {sys.executable} has none of the project's packages; type `make setup` once, then"
        " `. .venv/bin/activate`",
        file=sys.stderr,
    )
    sys.exit(2)
