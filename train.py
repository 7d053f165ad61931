"""Train a model: compose, check, fit, test. Returns the objective, for sweeps."""

from typing import TYPE_CHECKING

from experiment.entry import run_command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(config: "DictConfig") -> float | None:
    """One run, or with `check=true` only its preflight."""
    from experiment.start import prepare

    request = prepare(config)
    if request is None:
        return None
    # torch and Lightning take seconds to import: not before the configuration is known to be sound.
    from experiment.training import run_training

    return run_training(request)


if __name__ == "__main__":
    run_command(train, config_name="train")
