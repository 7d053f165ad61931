"""3D ResNet-18: residual blocks of 3x3x3 convolutions (Tran et al., https://arxiv.org/abs/1711.11248, R3D)."""

from jaxtyping import Float
from torch import Tensor, nn

# Channels of the four stages of two blocks each (table 1).
STAGES = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, whose channels and resolution are adapted where the convolutions change them.

    Args:
        stride: of frames, rows and columns.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            _convolution(in_channels, out_channels, stride=stride), nn.BatchNorm3d(out_channels), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(_convolution(out_channels, out_channels, stride=1), nn.BatchNorm3d(out_channels))
        self.downsample: nn.Module | None = None
        if stride > 1 or in_channels != out_channels:
            projection = nn.Conv3d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm3d(out_channels))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B C2 T2 H2 W2"]:
        shortcut = features if self.downsample is None else self.downsample(features)
        result: Tensor = self.relu(self.conv2(self.conv1(features)) + shortcut)
        return result


class R3D18(nn.Module):
    """A 7x7 stem over 3 frames, four stages of two blocks, the mean over frames and places, one linear layer.

    Names of the parameters are torchvision's `r3d_18`, so its state dicts load.

    Args:
        width: factor on the channels; 1 is the paper's.

    Raises:
        ValueError: the width leaves a layer without channels.
    """

    def __init__(self, *, num_classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, second, third, fourth = (int(channels * width) for channels in STAGES)
        if first < 1:
            raise ValueError(f"width={width} leaves the stem of {STAGES[0]} channels with none; take 1/64 or more")
        self.stem = nn.Sequential(
            nn.Conv3d(3, first, kernel_size=(3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
        )
        self.layer1 = _stage(first, first, stride=1)
        self.layer2 = _stage(first, second, stride=2)
        self.layer3 = _stage(second, third, stride=2)
        self.layer4 = _stage(third, fourth, stride=2)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(fourth, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B K"]:
        """Class scores (logits) of normalised clips."""
        features = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clip)))))
        scores: Tensor = self.fc(self.avgpool(features).flatten(start_dim=1))
        return scores


def _stage(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride=stride), BasicBlock(out_channels, out_channels, stride=1)
    )


def _convolution(in_channels: int, out_channels: int, *, stride: int) -> nn.Conv3d:
    return nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
