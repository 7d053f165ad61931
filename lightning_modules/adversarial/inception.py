"""The Inception network that published FIDs are computed with, from a file of its weights."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics.image.fid import NoTrainInceptionV3

from lightning_modules.adversarial.opinion import Opinion


class InceptionFile(NamedTuple):
    """The network's weights, `pt_inception-2015-12-05-6726825d.pth` of torch-fidelity's releases.

    Attributes:
        name: stands in the names of scores.
        weights: the file.
    """

    name: str
    weights: str


class Inception(nn.Module):
    """Looks at images between -1 and 1 of any size, in grey or in colour, as torchmetrics' FID does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: torch-fidelity is not installed, or the file is damaged or of another network.
    """

    def __init__(self, file: InceptionFile) -> None:
        super().__init__()
        if not Path(file.weights).is_file():
            raise FileNotFoundError(
                f"model.judge.weights={file.weights} is no file; give pt_inception-2015-12-05-6726825d.pth, which is"
                " with the releases of torch-fidelity, or choose model/judge=digits"
            )
        try:
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"], file.weights)
        except ModuleNotFoundError as error:
            raise ValueError(
                "model/judge=inception needs torch-fidelity: python -m pip install torch-fidelity"
            ) from error
        except Exception as error:
            raise ValueError(
                f"{file.weights} does not hold Inception's weights ({str(error).splitlines()[0]}); fetch"
                " pt_inception-2015-12-05-6726825d.pth again"
            ) from error
        self.requires_grad_(requires_grad=False)

    def forward(self, image: Float[Tensor, "B C H W"]) -> Opinion:
        """The 2,048 features before the classifier; its classes, ImageNet's, say nothing of the data's."""
        in_colour = image.float().expand(-1, 3, -1, -1)
        pixels = ((in_colour + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        with torch.autocast(image.device.type, enabled=False):
            features = self.network(pixels)
        return Opinion(features, features.new_empty(len(features), 0))
