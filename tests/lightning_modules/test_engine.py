"""The multi-layer perceptron, against its formula."""

import torch

from lightning_modules.engine.network import MLP


def test_the_scores_are_products_sums_and_sigmoids() -> None:
    torch.manual_seed(0)
    network = MLP(num_features=12, hidden_features=[5, 4], num_classes=3)
    image = torch.randn(2, 3, 2, 2)
    hidden = image.reshape(2, 12)
    *inner, last = [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)]
    for layer in inner:
        hidden = 1 / (1 + torch.exp(-(hidden @ layer.weight.T + layer.bias)))
    torch.testing.assert_close(network(image), hidden @ last.weight.T + last.bias)


def test_without_hidden_layers_it_is_linear() -> None:
    network = MLP(num_features=4, hidden_features=[], num_classes=3)
    image = torch.randn(2, 1, 2, 2)
    torch.testing.assert_close(network(2 * image) - network(image), network(image) - network(0 * image))
