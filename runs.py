"""Past runs, read from their directories: `python runs.py ls`, `python runs.py show last`, each with `--json`."""

import argparse
import sys

from experiment.failures import EXIT_REFUSED, Refused
from experiment.run_tables import list_table, show_run


def main() -> int:
    """Answer one question about past runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    ls = commands.add_parser("ls", help="all runs, the newest last")
    ls.add_argument("experiment", nargs="?", help="only runs of this experiment")
    show = commands.add_parser("show", help="one run: last, an id or the beginning of one, or a directory")
    show.add_argument("run", nargs="?", default="last")
    for command in (ls, show):
        command.add_argument("--json", action="store_true", help="for programs instead of people")
    arguments = parser.parse_args()
    try:
        if arguments.command == "ls":
            list_table(experiment=arguments.experiment, as_json=arguments.json)
        else:
            show_run(arguments.run, as_json=arguments.json)
    except Refused as refusal:
        print(f"runs.py: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    except BrokenPipeError:
        # Whoever read the output, `head` for one, has seen enough.
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
