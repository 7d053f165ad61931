"""Past runs, read from their directories: list, show, compare, rank, repeat, remove them."""

import argparse
import sys
from importlib import import_module
from typing import Any, NamedTuple

from experiment.failures import EXIT_REFUSED, Refused

Argument = tuple[tuple[str, ...], dict[str, Any]]

JSON: Argument = (("--json",), {"action": "store_true", "help": "for programs instead of people"})
CONDITIONS: Argument = (
    ("conditions",),
    {"nargs": "*", "help": "an experiment, status=failed, 'val/accuracy>0.9', optim.lr=0.01, tag=first, 'age<2d'"},
)
RUN: Argument = (("run",), {"nargs": "?", "default": "last", "help": "last, an id or its beginning, a directory"})
RUNS: Argument = (("runs",), {"nargs": "+", "help": "ids, or conditions such as sweep=<id>"})
SORT: Argument = (("--sort",), {"metavar": "KEY", "help": "a metric, a key of the configuration, or a column"})


class Command(NamedTuple):
    """A subcommand; `answer(arguments)` of that module of `experiment.runs` returns its exit code."""

    module: str
    help: str
    arguments: list[Argument]


COMMANDS = {
    "ls": Command(
        "listing",
        "all runs, the newest last",
        [
            CONDITIONS,
            SORT,
            (("--columns",), {"nargs": "+", "metavar": "KEY", "help": "further columns"}),
            (("--limit",), {"type": int, "metavar": "N", "help": "the last N only"}),
            JSON,
        ],
    ),
    "show": Command("showing", "one run in full", [RUN, JSON]),
}


def main() -> int:
    """Answer one question about past runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help)
        for names, options in command.arguments:
            subparser.add_argument(*names, **options)
    arguments = parser.parse_args()
    try:
        # Only what this command needs: drawing and serving cost time to import.
        module = import_module(f"experiment.runs.{COMMANDS[arguments.command].module}")
        exit_code: int = module.answer(arguments)
    except Refused as refusal:
        print(f"runs.py: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    except BrokenPipeError:
        # Whoever read the output, `head` for one, has seen enough.
        sys.stderr.close()
        return 0
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
