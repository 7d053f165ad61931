"""Grad-CAM against closed forms and the definition."""

import pytest
import torch
from torch import nn

from lightning_modules.grad_cam import explain_highest_class
from lightning_modules.transfer.backbones import build_backbone


class _PooledLinear(nn.Module):
    """Features, averaged over places, then a linear layer: Zhou et al.'s setting of class activation maps."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.linear = nn.Linear(6, 4)

    def forward(self, image):
        return self.linear(self.features(image).mean(dim=(2, 3)))


def test_after_average_pooling_it_is_the_class_activation_map() -> None:
    torch.manual_seed(0)
    network, image = _PooledLinear().eval(), torch.randn(5, 3, 8, 8)
    logits, evidence = explain_highest_class(network, image)
    assert evidence is not None
    highest = network(image).argmax(dim=1)
    # https://arxiv.org/abs/1610.02391, section 3.1: up to a factor the weights are the linear layer's own.
    maps = torch.einsum("bk,bkhw->bhw", network.linear.weight[highest], network.features(image)).relu()
    torch.testing.assert_close(evidence, maps / maps.amax(dim=(1, 2), keepdim=True), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, network(image))


def test_it_works_in_inference_mode_on_frozen_weights() -> None:
    network = _PooledLinear().eval().requires_grad_(requires_grad=False)
    with torch.inference_mode():
        _, evidence = explain_highest_class(network, torch.randn(2, 3, 8, 8))
    assert evidence is not None
    assert evidence.amax(dim=(1, 2)).tolist() == pytest.approx([1, 1])


def test_images_of_a_batch_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    network, image = _PooledLinear().eval(), torch.randn(3, 3, 8, 8)
    together = explain_highest_class(network, image).evidence
    alone = [explain_highest_class(network, image[row : row + 1]).evidence for row in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_a_map_of_few_places_explains_nothing() -> None:
    assert explain_highest_class(_PooledLinear().eval(), torch.randn(1, 3, 3, 3)).evidence is None


@pytest.mark.parametrize(
    ("name", "side"), [("squeezenet1_0", 13), ("resnet18", 7), ("densenet121", 7), ("shufflenet_v2_x0_5", 7)]
)
def test_torchvisions_networks_are_explained_by_their_last_map(name: str, side: int) -> None:
    torch.manual_seed(0)
    network = build_backbone(name, num_classes=3).network.eval()
    evidence = explain_highest_class(network, torch.randn(1, 3, 224, 224)).evidence
    assert evidence is not None
    assert evidence.shape == (1, side, side)
    assert 0 <= evidence.min() <= evidence.max() <= 1
