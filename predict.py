"""A run's checkpoint over files: `python predict.py run=last inputs='photos/*.png'` writes pictures and JSON."""

from omegaconf import DictConfig

from experiment.entry import run_command


def predict(config: DictConfig) -> None:
    """Write the predictions."""
    from experiment.start import prepare_command

    request, run = prepare_command(config, "Prediction")
    from experiment.prediction import run_prediction

    run_prediction(request, run)


if __name__ == "__main__":
    run_command(predict, config_name="predict")
