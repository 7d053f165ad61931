"""What a sweep's command line asks for, checked."""

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from experiment.component_checks import check_sweep_options
from experiment.failures import Refused
from experiment.sweeps.search_space import SearchSpace
from experiment.sweeps.sweep_directory import Definition


class SweepRequest(NamedTuple):
    """A sweep to be run.

    Args:
        definition: what makes it this sweep and no other; compared when it is continued.
        options: conf/sweep.
        fixed: overrides of all trials.
        settings: the configuration without what is swept, as plain values.
    """

    definition: Definition
    options: dict[str, Any]
    fixed: list[str]
    space: SearchSpace
    num_trials: int
    seeds: list[int]
    settings: dict[str, Any]
    known_points: list[dict[str, str]]

    @property
    def objectives(self) -> dict[str, str]:
        """Metric by metric, `max` or `min`."""
        objectives: dict[str, str] = self.definition["objectives"]
        return objectives

    @property
    def study_name(self) -> str:
        digest = hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()[:12]
        return str(self.options.get("study_name") or f"{self.definition['experiment']}-{digest}")


def request_of(config: DictConfig, arguments: Sequence[str], *, loader: ConfigLoader) -> SweepRequest:
    """What a composed configuration and its command line ask for.

    Raises:
        Refused: a setting of the sweep is wrong, or cannot take effect.
    """
    options: Any = OmegaConf.to_container(config.sweep, resolve=True)
    _refuse_wrong_options(config, options, arguments)
    is_search = options["method"] == "optuna"
    of_experiment: Any = OmegaConf.to_container(config.search_space) if is_search else {}
    space = SearchSpace([a for a in arguments if not _is_about_the_sweep(a)], of_experiment, loader=loader)
    if is_search and not space.as_written():
        raise Refused("there is nothing to search; add a range as in optim.lr='tag(log, interval(1e-4, 1e-2))'")
    seeds = _seeds(config, options, space)
    fixed = [override for override in space.fixed if not (seeds and override.startswith("seed="))]
    choices = config.hydra.runtime.choices
    definition: Definition = {
        # A sweep over experiments belongs to none of them.
        "experiment": "sweeps" if "experiment" in space.as_written() else choices.get("experiment") or choices.model,
        "method": options["method"],
        "overrides": fixed,
        "space": space.as_written(),
        "seeds": seeds,
        "objectives": {config.objective: config.objective_mode},
    }
    known_points = []
    if is_search:
        definition["objectives"] = options["objectives"] or definition["objectives"]
        shared = ("sampler", "seed", "num_startup_trials", "population_size", "enqueue", "enqueue_default")
        definition |= {name: options[name] for name in shared if name in options}
        definition |= {name: options[name] for name in ("pruner", "pruner_warmup_epochs", "pruner_factor")}
        known_points = _known_points(config, options, space)
    settings: Any = OmegaConf.to_container(config, resolve=False)
    settings["trainer"] = OmegaConf.to_container(config.trainer, resolve=True)
    return SweepRequest(definition, options, fixed, space, config.n_trials, seeds, settings, known_points)


def _refuse_wrong_options(config: DictConfig, options: dict[str, Any], arguments: Sequence[str]) -> None:
    if problems := check_sweep_options(options):
        raise Refused("\n".join(problem.message for problem in problems))
    counts = {f"sweep.{key}": options[key] for key in ("slots", "seeds") if options[key] != "auto"}
    for key, count in {**counts, "n_trials": config.n_trials}.items():
        if count < 1:
            raise Refused(f"{key}={count} is too few; take 1 or more")
    if config.resume.run is not None:
        raise Refused("resume= continues one run; to continue a sweep, give its command again or add sweep.resume=last")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Refused("-m under torchrun or srun would start the sweep once a process; start it with python alone")
    if options["method"] == "optuna":
        _refuse_wrong_search(options)
    elif any(argument.startswith("n_trials=") for argument in arguments):
        raise Refused("a grid has as many trials as it has points: n_trials= goes with sweep=optuna")


def _refuse_wrong_search(options: dict[str, Any]) -> None:
    if options["pruner"] is not None and options["seeds"] > 1:
        raise Refused("sweep.pruner judges single runs, sweep.seeds joins several to one result; choose one of the two")
    if options["pruner"] is not None and options["objectives"] is not None:
        raise Refused("sweep.pruner goes by the run's own objective; leave out sweep.objectives")
    for name, mode in (options["objectives"] or {}).items():
        if mode not in ("max", "min"):
            raise Refused(f"sweep.objectives: {name}:{mode} is neither max nor min; write {name}:max")


def _is_about_the_sweep(argument: str) -> bool:
    key = argument.lstrip("+").split("=", 1)[0]
    return key in ("sweep", "n_trials") or key.startswith(("sweep.", "sweep/"))


def _seeds(config: DictConfig, options: dict[str, Any], space: SearchSpace) -> list[int]:
    if options["seeds"] == 1:
        return []
    if "seed" in space.as_written():
        raise Refused("seed= has several values and sweep.seeds asks for more; choose one of the two")
    return [int(config.seed) + index for index in range(options["seeds"])]


def _known_points(config: DictConfig, options: dict[str, Any], space: SearchSpace) -> list[dict[str, str]]:
    if options["sampler"] == "grid":
        return list(space.grid())
    points = []
    own = {key: OmegaConf.select(config, key) for key in sorted(space.as_written())}
    if options["enqueue_default"] and (point := space.point_of(own)) is not None:
        points.append(point)
    return points + [_assignments(text) for text in options["enqueue"]]


def _assignments(text: str) -> dict[str, str]:
    pairs = [assignment.partition("=") for assignment in shlex.split(text)]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise Refused(
            f"sweep.enqueue: {wrong[0]} in '{text}' is no key=value; write 'optim.lr=0.002 model.dropout=0.5'"
        )
    return {key: value for key, _, value in pairs}
