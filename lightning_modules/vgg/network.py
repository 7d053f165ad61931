"""VGG: a stack of 3x3 convolutions (Simonyan and Zisserman, https://arxiv.org/abs/1409.1556)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Table 1 of the paper, columns A, B, D and E: output channels of the 3x3 convolutions, a tuple per resolution.
CONVOLUTIONS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGG(nn.Module):
    """VGG-11, 13, 16 or 19 (section 2.1, table 1), with or without batch normalisation.

    Names and order of the parameters are torchvision's, so its state dicts load.

    Args:
        depth: 11, 13, 16 or 19 layers with weights, as the columns A, B, D and E.
        width: factor on the channels of every convolution; 1 is the paper's.
        hidden_features: width of the two hidden fully connected layers; the paper's is 4096.
        pooled_size: side of the map that the classifier sees; 7 is what 224 pixels leave.

    Raises:
        ValueError: the depth is none of the paper's, or the width leaves a layer without channels.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        depth: int = 16,
        batch_norm: bool = False,
        in_channels: int = 3,
        width: float = 1.0,
        hidden_features: int = 4096,
        pooled_size: int = 7,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise ValueError(
                f"depth={depth}: the paper has VGG-{', '.join(map(str, CONVOLUTIONS))}; choose one of these"
            )
        layers: list[nn.Module] = []
        channels = in_channels
        for stage in CONVOLUTIONS[depth]:
            for full_width in stage:
                out_channels = int(full_width * width)
                if out_channels < 1:
                    raise ValueError(
                        f"width={width} leaves a layer of {full_width} channels with none; take at least 1/64"
                    )
                layers.append(nn.Conv2d(channels, out_channels, kernel_size=3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(out_channels))
                layers.append(nn.ReLU(inplace=True))
                channels = out_channels
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pooled_size)
        self.classifier = nn.Sequential(
            nn.Linear(channels * pooled_size**2, hidden_features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, hidden_features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, num_classes),
        )
        self._initialise()

    def _initialise(self) -> None:
        """Random weights, spread by the layer's width (He et al., https://arxiv.org/abs/1502.01852, section 2.2).

        The paper draws all weights with standard deviation 0.01 (section 3.1) and starts its deep networks from trained
        shallow ones. At its width the first fully connected layer gets 0.0089 here, about the same; with a quarter of
        the width 0.01 is too little: the narrow VGG-11 stayed at chance for 7 of 30 epochs on the digits.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Class scores (logits) of normalised images; a side of at least 32 pixels survives the five poolings."""
        features = self.avgpool(self.features(image))
        scores: Tensor = self.classifier(torch.flatten(features, start_dim=1))
        return scores
