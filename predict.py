"""A network over files: `python predict.py run=last inputs='photos/*.png'` writes pictures and JSON.

Without `inputs=` a model that makes pictures from nothing, such as DCGAN, writes samples and ways between them.
`pretrained=imagenet` in place of `run=` takes published weights instead of a run's.
"""

from typing import TYPE_CHECKING

from experiment.entry import run_command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def predict(config: "DictConfig") -> None:
    """Write the predictions."""
    from experiment.start import prepare_prediction

    request, run = prepare_prediction(config)
    from experiment.prediction import run_prediction

    run_prediction(request, run)


if __name__ == "__main__":
    run_command(predict, config_name="predict")
