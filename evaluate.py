"""Score a run's checkpoint on a split: `python evaluate.py run=last split=test`."""

from omegaconf import DictConfig

from experiment.entry import run_command


def evaluate(config: DictConfig) -> None:
    """Print the metrics."""
    from experiment.evaluation import run_evaluation

    run_evaluation(config)


if __name__ == "__main__":
    run_command(evaluate, config_name="evaluate")
