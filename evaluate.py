"""Score a run's checkpoint on a split: `python evaluate.py run=last split=test`."""

from typing import TYPE_CHECKING

from experiment.entry import run_command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def evaluate(config: "DictConfig") -> None:
    """Print the metrics."""
    from experiment.start import prepare_command

    request, run = prepare_command(config, "Evaluation")
    from experiment.evaluation import run_evaluation

    run_evaluation(request, run)


if __name__ == "__main__":
    run_command(evaluate, config_name="evaluate")
