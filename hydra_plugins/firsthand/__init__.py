"""Where Hydra looks for plugins: what `-m` does is ours."""

import sys
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class FirsthandSweeperConfig:
    """Nothing to set here: `conf/sweep` has it all."""

    _target_: str = "hydra_plugins.firsthand.FirsthandSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="firsthand", node=FirsthandSweeperConfig, provider="firsthand")


class FirsthandSweeper(Sweeper):
    """Runs every trial as a process of its own; ends the command with the sweep's exit code."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        from experiment.sweeps.sweep import check_sweep, run_sweep

        if self._config.check:
            check_sweep(self._config, arguments, context=self._context, task=self._task)
            return
        # Below what `run_command` wraps around it, which belongs to a single run.
        task = getattr(self._task, "__wrapped__", self._task)
        sys.exit(run_sweep(self._config, arguments, context=self._context, task=task))
