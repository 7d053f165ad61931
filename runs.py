"""Past runs, read from their directories: list, show, compare, rank, repeat, remove them."""

import argparse
import sys
from importlib import import_module
from typing import Any, NamedTuple

from experiment.failures import EXIT_FAILED, EXIT_REFUSED, Refused, RunFailed

Argument = tuple[tuple[str, ...], dict[str, Any]]

JSON: Argument = (("--json",), {"action": "store_true", "help": "for programs instead of people"})
CONDITIONS: Argument = (
    ("conditions",),
    {"nargs": "*", "help": "an experiment, status=failed, 'val/accuracy>0.9', optim.lr=0.01, tag=first, 'age<2d'"},
)
RUN: Argument = (("run",), {"nargs": "?", "default": "last", "help": "last, an id or its beginning, a directory"})
RUNS: Argument = (("runs",), {"nargs": "+", "help": "ids, or conditions such as sweep=<id>"})
SORT: Argument = (("--sort",), {"metavar": "KEY", "help": "a metric, a key of the configuration, or a column"})
COLUMNS: Argument = (("--columns",), {"nargs": "+", "metavar": "KEY", "help": "further columns"})
LIMIT: Argument = (("--limit",), {"type": int, "metavar": "N", "help": "that many only"})
METRIC: Argument = (("metric",), {"help": "as it is logged: val/accuracy"})
METRICS: Argument = (("--metrics",), {"nargs": "+", "metavar": "METRIC", "help": "instead of those of the test"})
ANY_RUNS: Argument = (("runs",), {"nargs": "*", "help": "ids or conditions; without any, the newest ten runs"})
PORT: Argument = (("--port",), {"type": int, "default": 6017, "help": "of the page"})
SHOWN: Argument = (("--metric",), {"help": "to plot here, instead of the objective"})
HTML: Argument = (
    ("--html",),
    {"metavar": "FILE", "help": "where the report goes, instead of the outputs' comparisons/"},
)
MODE: Argument = (("--mode",), {"choices": ("min", "max"), "help": "what is better, where the runs do not say it"})
HISTORY: Argument = (("--history",), {"action": "store_true", "help": "a row for each logged value, not for each run"})
FORMAT: Argument = (("--format",), {"choices": ("csv", "json"), "default": "csv"})
OUTPUT: Argument = (("--output",), {"metavar": "FILE", "help": "instead of the screen"})
EXPERIMENT: Argument = (("experiment",), {"help": "a name from conf/experiment"})
OVERRIDES: Argument = (("overrides",), {"nargs": "*", "help": "more words for train.py, such as trainer=ddp_cpu"})
SYNCED_RUNS: Argument = (("runs",), {"nargs": "*", "help": "ids or conditions; without any, all that wait"})
ONLINE: Argument = (("--include-online",), {"action": "store_true", "help": "also what an online run did not finish"})
CHECK: Argument = (("--check",), {"action": "store_true", "help": "say what would be done, and do no more"})
ADD: Argument = (("--add",), {"nargs": "+", "metavar": "RUN", "help": "ids or conditions of finished runs to keep"})
UP_TO_DATE: Argument = (("--check",), {"action": "store_true", "help": "only say whether the tables are up to date"})
RESTORE: Argument = (("--restore",), {"action": "store_true", "help": "bring runs back from the trash, by whole id"})


class Command(NamedTuple):
    """A subcommand; `answer(arguments)` of that module of `experiment.runs` returns its exit code."""

    module: str
    help: str
    arguments: list[Argument]


COMMANDS = {
    "ls": Command(
        "listing",
        "all runs, the newest last",
        [CONDITIONS, SORT, COLUMNS, LIMIT, JSON],
    ),
    "show": Command("showing", "one run in full", [RUN, JSON]),
    "diff": Command("differences", "in what two runs differ", [(("first",), {}), (("second",), {}), JSON]),
    "compare": Command("comparing", "runs beside each other, here and as an HTML report", [RUNS, SHOWN, HTML, JSON]),
    "dashboard": Command("serving", "the same on a page of this machine, live", [ANY_RUNS, LIMIT, PORT]),
    "best": Command("ranking", "the runs with the best value of a metric", [METRIC, CONDITIONS, MODE, LIMIT, JSON]),
    "seeds": Command("seeds", "mean and spread over the seeds of a configuration", [CONDITIONS, METRICS, JSON]),
    "export": Command("exporting", "runs or metric histories as CSV or JSON", [CONDITIONS, HISTORY, FORMAT, OUTPUT]),
    "results": Command("results", "write the tables of measured results, after adding runs", [ADD, UP_TO_DATE]),
    "reproduce": Command("reproducing", "run a run again and compare every logged value", [RUN, CHECK, JSON]),
    "verify": Command("verifying", "prove that an experiment can be interrupted", [EXPERIMENT, OVERRIDES, JSON]),
    "sync": Command("syncing", "upload to W&B what was recorded on disk", [SYNCED_RUNS, ONLINE, CHECK]),
    "rm": Command("trash", "move runs to the trash folder", [RUNS, RESTORE]),
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
    except RunFailed as failure:
        print(f"runs.py: {failure}", file=sys.stderr)
        return EXIT_FAILED
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
