"""A multi-layer perceptron: the smallest network with which the two engines are compared."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """Layers with a sigmoid between them (Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0)."""

    def __init__(self, *, num_features: int, hidden_features: Sequence[int], num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise((num_features, *hidden_features)):
            layers += [nn.Linear(inputs, outputs), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers, nn.Linear((num_features, *hidden_features)[-1], num_classes))

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        scores: Tensor = self.layers(image)
        return scores
