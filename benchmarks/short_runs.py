"""Runs of a few steps, whose time is looked at from within."""

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from experiment import training
from experiment.entry import CONF_DIR
from experiment.run_directory import RunDirectory, new_run_id
from experiment.start import RunRequest

_SHORT = (
    *("trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "trainer.limit_test_batches=1"),
    *("logger=none", "callbacks.progress_bar=null", "callbacks.validation_pictures=null"),
)


def compose(*words: str) -> DictConfig:
    """The configuration of a command line, without a run's directory."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        config = hydra.compose("train", list(words))
    OmegaConf.set_struct(config, value=False)
    config.paths.run_dir = ""
    return config


def train_briefly(experiment: str, *more: str, num_steps: int, outputs: Path) -> RunDirectory:
    """One epoch of so many steps, without tracker and pictures."""
    words = [f"experiment={experiment}", *_SHORT, f"trainer.limit_train_batches={num_steps}", *more]
    config = compose(*words)
    run = RunDirectory(outputs / experiment / new_run_id(outputs))
    config.paths.run_dir = str(run.path)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    training.run_training(RunRequest(config, settings, run, experiment, words, is_resumed=False))
    return run
