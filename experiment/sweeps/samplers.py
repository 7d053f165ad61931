"""Optuna's samplers and pruners, made anew for every trial so that its number decides what it draws."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler

from experiment.failures import Refused


def make_sampler(options: dict[str, Any], *, seed: int, number: int) -> BaseSampler:
    """The sampler that suggests trial `number`.

    Raises:
        Refused: it needs a package that is not installed.
    """
    kind = options["sampler"]
    of_trial = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    num_startup_trials = options["num_startup_trials"]
    # The points of a grid are given to the study before: nothing is drawn.
    if kind in ("random", "grid"):
        return optuna.samplers.RandomSampler(seed=of_trial)
    if kind == "tpe":
        # Points that are being tried count as bad, so that trials at the same time differ.
        return optuna.samplers.TPESampler(
            seed=of_trial, n_startup_trials=num_startup_trials, multivariate=True, constant_liar=True
        )
    if kind == "cmaes":
        if find_spec("cmaes") is None:
            raise Refused("sweep.sampler=cmaes needs the package cmaes; install it, or take sweep.sampler=tpe")
        return optuna.samplers.CmaEsSampler(seed=of_trial, n_startup_trials=num_startup_trials)
    if kind == "qmc":
        # A sequence is one: every trial takes the next of its points.
        return optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
    assert kind == "nsga2"
    return optuna.samplers.NSGAIISampler(seed=of_trial, population_size=options["population_size"])


def make_pruner(options: dict[str, Any], *, max_epochs: int | None) -> BasePruner:
    """The pruner of a study; it looks at a trial's objective after every validation."""
    warmup = options["pruner_warmup_epochs"]
    factor = options["pruner_factor"]
    if options["pruner"] is None:
        return NopPruner()
    if options["pruner"] == "median":
        return MedianPruner(n_startup_trials=options["num_startup_trials"], n_warmup_steps=warmup)
    if options["pruner"] == "asha":
        return SuccessiveHalvingPruner(min_resource=max(1, warmup), reduction_factor=factor)
    assert options["pruner"] == "hyperband"
    if max_epochs is None or max_epochs < 1:
        raise Refused("sweep.pruner=hyperband divides up trainer.max_epochs; set that")
    return HyperbandPruner(min_resource=max(1, warmup), max_resource=max_epochs, reduction_factor=factor)
