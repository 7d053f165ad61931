"""Who says what generated images show: a classifier that this project trained on genuine ones, for scores offline.

Scores by different judges cannot be compared, hence its name in theirs. Two come with the project, both
`VGGClassifier`s of width 0.125 with 64 hidden features, weights in half precision: `digits` (of `vgg_mnist`,
test/accuracy 0.9923) and `small_digits` (of `vgg_digits`, 0.9861). Published scores are by `inception`.
"""

import functools
import inspect
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.adversarial.inception import Inception, InceptionFile
from lightning_modules.adversarial.opinion import Opinion
from lightning_modules.components import arguments_of
from lightning_modules.vgg.network import VGG

_OWN_JUDGES = Path(__file__).parent / "judges"


class JudgeFile(NamedTuple):
    """A judge's name, checkpoint, and how it was shown images.

    Attributes:
        name: stands in the names of scores.
        checkpoint: of a `VGGClassifier`; a bare name is one of the project's own.
        image_size, mean, std: of its training data.
    """

    name: str
    checkpoint: str
    image_size: int
    mean: float
    std: float


class Judge(nn.Module):
    """A trained classifier that looks at images between -1 and 1 of any size."""

    def __init__(self, network: VGG, file: JudgeFile) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.file = file

    def forward(self, image: Float[Tensor, "B C H W"]) -> Opinion:
        """Its opinion in full precision, whatever the training's is."""
        size = (self.file.image_size, self.file.image_size)
        with torch.autocast(image.device.type, enabled=False):
            between_0_and_1 = (image.float() + 1) / 2
            shown = F.interpolate(between_0_and_1, size=size, mode="bilinear", align_corners=False, antialias=True)
            maps = self.network.features((shown - self.file.mean) / self.file.std)
            flat = torch.flatten(self.network.avgpool(maps), start_dim=1)
            features = self.network.classifier[:-1](flat)
            return Opinion(features, self.network.classifier[-1](features).softmax(dim=1))


_FILES = {f"{kind.__module__}.{kind.__name__}": kind for kind in (JudgeFile, InceptionFile)}


def judge_file(settings: dict[str, Any]) -> JudgeFile | InceptionFile:
    """What `model.judge` says, the class's name by `_target_`."""
    file: JudgeFile | InceptionFile = _FILES[settings["_target_"]](**arguments_of(settings))
    return file


@functools.lru_cache(maxsize=4)
def load_judge(file: JudgeFile | InceptionFile, device: torch.device) -> Judge | Inception:
    """Read a judge; once for each device.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not one of a `VGGClassifier`, or see `Inception`.
    """
    if isinstance(file, InceptionFile):
        return Inception(file).to(device)
    own = _OWN_JUDGES / f"{file.checkpoint}.pt"
    path = own if own.is_file() else Path(file.checkpoint)
    if not path.is_file():
        names = ", ".join(sorted(judge.stem for judge in _OWN_JUDGES.glob("*.pt")))
        raise FileNotFoundError(
            f"model.judge.checkpoint={file.checkpoint} is no file and none of {names}; train one with"
            " experiment=vgg_mnist and give its checkpoint, or set model/judge=none"
        )
    content = torch.load(path, map_location="cpu", weights_only=True)
    given, taken = content.get("hyper_parameters", {}), set(inspect.signature(VGG).parameters)
    if not taken <= set(given):
        raise ValueError(f"{path} is no checkpoint of a VGGClassifier: it does not say its {min(taken - set(given))}")
    network = VGG(**{name: given[name] for name in taken})
    weights = {n.removeprefix("network."): w for n, w in content["state_dict"].items() if n.startswith("network.")}
    # Half precision becomes full as it is copied.
    network.load_state_dict(weights)
    return Judge(network, file).to(device)
