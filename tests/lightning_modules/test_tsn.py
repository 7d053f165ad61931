"""TSN sees frames, not their order."""

import torch
from torch import nn
from torchvision.models import resnet18

from lightning_modules.tsn.network import TSN


def test_bn_inception_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in TSN(num_classes=1000).parameters()) == 11_295_240


def test_scores_are_the_mean_of_every_frames() -> None:
    torch.manual_seed(0)
    network = TSN(num_classes=3, backbone="resnet18").eval()
    image_network = resnet18(num_classes=3).eval()
    assert isinstance(network.frame_network, nn.Module)
    image_network.load_state_dict(network.frame_network.state_dict())
    clip = torch.randn(2, 3, 4, 32, 32)
    expected = sum(image_network(clip[:, :, frame]) for frame in range(4)) / 4
    torch.testing.assert_close(network(clip), expected)


def test_the_order_of_frames_does_not_matter() -> None:
    torch.manual_seed(0)
    network = TSN(num_classes=3, width=0.125).eval()
    clip = torch.randn(1, 3, 6, 64, 64)
    torch.testing.assert_close(network(clip), network(clip[:, :, torch.randperm(6)]))


def test_the_head_is_what_the_number_of_classes_changes() -> None:
    networks = [TSN(num_classes=k, width=0.125) for k in (2, 3)]
    shapes = [{name: p.shape for name, p in network.named_parameters()} for network in networks]
    assert sorted(networks[0].head) == sorted(name for name in shapes[0] if shapes[0][name] != shapes[1][name])
