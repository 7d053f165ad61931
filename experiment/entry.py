"""From a command line to a task: composes with Hydra, and turns every way of ending into an exit code and a line."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiment.failures import (
    EXIT_CTRL_C,
    EXIT_FAILED,
    EXIT_FINISHED,
    EXIT_REFUSED,
    Refused,
    RunFailed,
    RunInterrupted,
    in_one_line,
)
from experiment.hydra_settings import refuse_hydra_settings
from experiment.locations import did_you_mean, did_you_mean_key, dotted_items
from experiment.parent_death import END_WITH_PARENT_VARIABLE, end_with_parent

CONF_DIR = Path(__file__).resolve().parent.parent / "conf"
# Names the file by which a worker finds its sweep; makes of a command that worker.
WORKER_VARIABLE = "FIRSTHAND_WORKER"
_SHIPPED_WITH_HYDRA_SETTINGS = ("train.yaml", "evaluate.yaml", "predict.yaml")


class _Watch:
    """Runs a command's task, in a sweep for every point, and keeps failures from Hydra, which would end the sweep."""

    def __init__(self, task: Callable[[DictConfig], Any]) -> None:
        self.task = task
        self.num_tasks = 0
        self.failures: list[Exception] = []

    def run(self, config: DictConfig) -> Any:
        """The task's result; None if it failed, which has been told then."""
        self.num_tasks += 1
        try:
            return self.task(config)
        except OmegaConfBaseException:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line and ends in an exit code
            if config.show_traceback:
                traceback.print_exc()
            _say(in_one_line(error))
            if isinstance(error, RunInterrupted):
                sys.exit(error.exit_code)
            self.failures.append(error)
            return None

    def exit_code(self) -> int:
        """Of the whole command; a sweep of which some points were trained has failed, not been refused."""
        if not self.failures:
            return EXIT_FINISHED
        is_refused = len(self.failures) == self.num_tasks and all(isinstance(error, Refused) for error in self.failures)
        return EXIT_REFUSED if is_refused else EXIT_FAILED


def run_command(task: Callable[[DictConfig], Any], *, config_name: str) -> NoReturn:
    """Compose `conf/<config_name>.yaml` with the command line, run the task on it, and exit.

    Exit codes: 0 finished, 1 failed, 2 refused before starting, 130 interrupted by Ctrl-C, 143 by SIGTERM.
    """
    # Else Hydra prints errors in its own words and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra takes what stands before -m for the whole command line.
    sys.argv[1:] = sorted(map(_spell_out, sys.argv[1:]), key=lambda argument: argument not in ("-m", "--multirun"))
    if END_WITH_PARENT_VARIABLE in os.environ:
        end_with_parent()
    if (contact := os.environ.pop(WORKER_VARIABLE, None)) is not None:
        from experiment.sweeps.worker import serve

        serve(Path(contact), task, config_name=config_name)
    watch = _Watch(task)

    @wraps(task)
    def watched(config: DictConfig) -> Any:
        return watch.run(config)

    try:
        refuse_hydra_settings(CONF_DIR, sys.argv[1:], shipped=_SHIPPED_WITH_HYDRA_SETTINGS)
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)(watched)()
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(EXIT_CTRL_C)
    except BrokenPipeError:
        # Whoever read the output, `head` for one, has seen enough; Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except RunFailed as error:
        # Of a sweep, which runs below Hydra's own.
        _say(str(error))
        sys.exit(EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - the task's own are caught above: this is Hydra's answer to the command line
        _say(_explain_composition(error, config_name=config_name))
        sys.exit(EXIT_REFUSED)
    sys.exit(watch.exit_code())


def _spell_out(argument: str) -> str:
    """`resume=last` is short for `resume.run=last`, and so is fork."""
    key, _, value = argument.partition("=")
    return f"{key}.run={value}" if key in ("resume", "fork") and not value.startswith("{") else argument


def _say(message: str) -> None:
    program = Path(sys.argv[0]).name
    for line in message.splitlines():
        print(f"{program}: {line}", file=sys.stderr)


def _explain_composition(error: Exception, *, config_name: str) -> str:
    """Hydra's refusal of a command line or a file, in one line with a suggestion."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = sorted(error.options or [])
        there = f"{did_you_mean(option, options)} (there are: {', '.join(options)})"
        return f"{group}={option}: there is no such {group or 'config'}{there}"
    text = str(error)
    if isinstance(error, Refused):
        return text
    if "Config group override must be" in text:
        return "a group takes the name of one of its options; to leave a group out write ~group (~experiment)"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override} is not an override: {text.splitlines()[0]}; write key=value, in quotes if it has blanks"
        )
    if found := re.search(r"Could not (?:override|append to|delete[^']*) '([^']+)'", text):
        key = found.group(1)
        return f"{key} is unknown{did_you_mean_key(key, _known_keys(config_name))}"
    first_line = text.strip().splitlines()[0]
    cause = f" ({str(error.__cause__).splitlines()[0]})" if error.__cause__ is not None and str(error.__cause__) else ""
    return f"{first_line}{cause}"


def _known_keys(config_name: str) -> list[str]:
    """Keys and groups that a command line may set."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        config = hydra.compose(config_name)
    groups = [path.name for path in CONF_DIR.iterdir() if path.is_dir()]
    return [*groups, *(key for key, _ in dotted_items(OmegaConf.to_container(config)))]
