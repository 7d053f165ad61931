"""Temporal segment networks: scores of single frames, averaged (Wang et al., https://arxiv.org/abs/1608.00859).

What it cannot see is the order of frames, which makes it the measure of what a network for videos adds.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_modules.eco.bn_inception import BNInception
from lightning_modules.transfer.backbones import build_backbone


class BNInceptionClassifier(nn.Module):
    """BN-Inception, dropout, one linear layer."""

    def __init__(self, *, num_classes: int, width: float, dropout: float) -> None:
        super().__init__()
        self.front = BNInception(width=width, is_whole=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.front.feature_dim, num_classes)

    def forward(self, frame: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        """Class scores (logits) of normalised frames."""
        _, features = self.front(frame)
        scores: Tensor = self.fc(self.dropout(features))
        return scores


class TSN(nn.Module):
    """A classifier of images on every frame, and the mean of its scores (section 3.1, with the mean as consensus).

    Args:
        backbone: `bn_inception`, as in the paper, or one of torchvision's classifiers.
        width: factor on BN-Inception's channels; 1 is the paper's.
        dropout: of BN-Inception, before the last layer.

    Attributes:
        head: names of the parameters whose shape depends on the number of classes.
    """

    def __init__(
        self, *, num_classes: int, backbone: str = "bn_inception", width: float = 1.0, dropout: float = 0.8
    ) -> None:
        super().__init__()
        self.frame_network: nn.Module
        if backbone == "bn_inception":
            self.frame_network = BNInceptionClassifier(num_classes=num_classes, width=width, dropout=dropout)
            head = ["fc.weight", "fc.bias"]
        else:
            self.frame_network, head, _ = build_backbone(backbone, num_classes=num_classes)
        self.head: list[str] = [f"frame_network.{name}" for name in head]

    def forward(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B K"]:
        """Class scores (logits) of normalised clips."""
        num_frames = clip.shape[2]
        # Every frame is an image of its own: B T 3 H W.
        scores: Tensor = self.frame_network(clip.transpose(1, 2).flatten(end_dim=1))
        return torch.unflatten(scores, 0, (-1, num_frames)).mean(dim=1)
