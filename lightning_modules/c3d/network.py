"""C3D: 3x3x3 convolutions over a clip (Tran et al., https://arxiv.org/abs/1412.0767)."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

# Figure 3 of the paper: names and output channels of the convolutions between poolings.
CONVOLUTIONS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("conv1", 64),),
    (("conv2", 128),),
    (("conv3a", 256), ("conv3b", 256)),
    (("conv4a", 512), ("conv4b", 512)),
    (("conv5a", 512), ("conv5b", 512)),
)


class C3D(nn.Module):
    """Eight convolutions, five poolings, two hidden fully connected layers (section 3, figure 3).

    Names of the layers are the paper's, so that state dicts with those load.

    Args:
        width: factor on the channels of every convolution; 1 is the paper's.
        batch_norm: after every convolution; the paper has none.
        hidden_features: width of fc6 and fc7; the paper's is 4096.
        pooled_size: frames, height and width that fc6 sees; (1, 4, 4) is what 16 frames of 112 x 112 pixels leave.

    Raises:
        ValueError: the width leaves a layer without channels.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: float = 1.0,
        batch_norm: bool = False,
        hidden_features: int = 4096,
        pooled_size: Sequence[int] = (1, 4, 4),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        channels = 3
        for stage, convolutions in enumerate(CONVOLUTIONS, start=1):
            for name, full_width in convolutions:
                out_channels = int(full_width * width)
                if out_channels < 1:
                    raise ValueError(
                        f"width={width} leaves {name} of {full_width} channels with none; take 1/64 or more"
                    )
                layers[name] = nn.Conv3d(channels, out_channels, kernel_size=3, padding=1)
                if batch_norm:
                    layers[f"{name}_bn"] = nn.BatchNorm3d(out_channels)
                layers[f"{name}_relu"] = nn.ReLU(inplace=True)
                channels = out_channels
            # The first keeps all frames. Rounding up as the authors' Caffe does makes 4 of 7 in the last.
            layers[f"pool{stage}"] = nn.MaxPool3d((1, 2, 2) if stage == 1 else 2, ceil_mode=True)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.convolutional = list(layers)
        frames, height, column = pooled_size
        self.pooling = nn.AdaptiveMaxPool3d((frames, height, column))
        self.fc6 = nn.Linear(channels * frames * height * column, hidden_features)
        self.fc7 = nn.Linear(hidden_features, hidden_features)
        self.fc8 = nn.Linear(hidden_features, num_classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self._initialise()

    def _initialise(self) -> None:
        """Random weights spread by the layer's width (https://arxiv.org/abs/1502.01852), as in our VGG."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B K"]:
        """Class scores (logits) of normalised clips."""
        features = clip
        for name in self.convolutional:
            features = self.get_submodule(name)(features)
        features = self.pooling(features).flatten(start_dim=1)
        features = self.dropout(self.relu(self.fc6(features)))
        features = self.dropout(self.relu(self.fc7(features)))
        scores: Tensor = self.fc8(features)
        return scores
