"""Residual networks that keep an eighth of the image's side, of torchvision's blocks (https://arxiv.org/abs/1512.03385)."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import get_weight
from torchvision.models.resnet import Bottleneck

Stem = Literal["deep", "plain"]

# A block puts out four times the channels that its 3x3 convolution has.
EXPANSION: int = Bottleneck.expansion
# (channels of the 3x3 convolutions, stride, dilation) of each stage.
_STAGES = ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4))


class Features(NamedTuple):
    """What the third and the fourth stage put out."""

    third: Float[Tensor, "B C3 h w"]
    fourth: Float[Tensor, "B C4 h w"]


class DilatedResNet(nn.Module):
    """A ResNet whose last two stages dilate instead of halving (https://arxiv.org/abs/1511.07122, section 2).

    With `stem="plain"` the names, order and shapes of its parameters are those of torchvision's ResNet without `fc`.

    Args:
        blocks: number of blocks of each of the four stages; (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) ResNet-101.
        stem: `deep` has three 3x3 convolutions, as the authors' code of PSPNet; `plain` the one of 7x7 of the ResNet
            paper and of torchvision's weights.
        width: factor on the channels of every convolution; 1 is the paper's.

    Raises:
        ValueError: there are not four stages of at least one block, or the width leaves a layer without channels.
    """

    def __init__(self, *, blocks: list[int], stem: Stem, width: float) -> None:
        super().__init__()
        if len(blocks) != len(_STAGES) or min(blocks) < 1:
            raise ValueError(
                f"blocks={blocks}: a ResNet has four stages of at least one block; [3, 4, 6, 3] is 50 deep"
            )
        if int(64 * width) < 1:
            raise ValueError(f"width={width} leaves a layer of 64 channels with none; take at least 1/64")
        channels = int(64 * width)
        self.relu = nn.ReLU(inplace=True)
        if stem == "deep":
            self.conv1: nn.Module = nn.Sequential(
                *_convolution(3, channels, stride=2),
                *_convolution(channels, channels, stride=1),
                nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1, bias=False),
            )
            channels = 2 * channels
        else:
            self.conv1 = nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        dilation_before = 1
        stages = []
        for (full_width, stride, dilation), num_blocks in zip(_STAGES, blocks, strict=True):
            planes = int(full_width * width)
            # The first block sees the map that the undilated network sees here, so it keeps the dilation before it.
            stage = [_block(channels, planes, stride=stride, dilation=dilation_before)]
            channels = EXPANSION * planes
            stage += [_block(channels, planes, stride=1, dilation=dilation) for _ in range(num_blocks - 1)]
            stages.append(nn.Sequential(*stage))
            dilation_before = dilation
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_channels = (EXPANSION * int(256 * width), EXPANSION * int(512 * width))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # https://arxiv.org/abs/1502.01852, section 2.2; as torchvision's ResNet.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Features:
        """Maps of ceil(H / 8) x ceil(W / 8)."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        third = self.layer3(self.layer2(self.layer1(features)))
        return Features(third, self.layer4(third))


def load_weights_(backbone: DilatedResNet, source: str) -> None:
    """Take over a classifier's weights, as the paper does; they fit a dilated network unchanged.

    Args:
        source: the name of torchvision's, such as `ResNet50_Weights.IMAGENET1K_V2`, downloaded where they are missing;
            or a file that holds a state dict of torchvision's ResNet, or of this backbone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: names or shapes are others than the backbone's.
    """
    if "_Weights." in source:
        state: dict[str, Tensor] = get_weight(source).get_state_dict(progress=False, check_hash=True)
    elif Path(source).is_file():
        state = torch.load(source, map_location="cpu", weights_only=True)
    else:
        raise FileNotFoundError(
            f"model.backbone_weights={source}: there is no such file; name one, or torchvision's weights as"
            " ResNet50_Weights.IMAGENET1K_V2"
        )
    try:
        backbone.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})
    except RuntimeError as error:
        raise ValueError(
            f"model.backbone_weights={source} does not fit ({str(error).splitlines()[1].strip()}); torchvision's"
            " weights need model.stem=plain, model.width=1.0 and the model.blocks of their depth"
        ) from error


def _convolution(in_channels: int, out_channels: int, *, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def _block(in_channels: int, planes: int, *, stride: int, dilation: int) -> Any:
    out_channels = EXPANSION * planes
    shortcut = None
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    return Bottleneck(in_channels, planes, stride, shortcut, dilation=dilation)
