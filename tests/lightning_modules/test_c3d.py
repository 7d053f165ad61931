"""C3D's size and shapes are the paper's."""

import torch

from lightning_modules.c3d.network import C3D, CONVOLUTIONS


def test_the_numbers_of_parameters_are_the_published_ones() -> None:
    counts = {}
    with torch.device("meta"):
        for num_classes in (101, 400, 487):
            counts[num_classes] = sum(p.numel() for p in C3D(num_classes=num_classes).parameters())
    assert counts == {101: 78_409_573, 400: 79_634_576, 487: 79_991_015}


def test_the_fifth_pooling_leaves_8192_features_of_the_papers_clip() -> None:
    with torch.device("meta"):
        network = C3D(num_classes=101)
        features = torch.zeros(1, 3, 16, 112, 112)
        shapes = {}
        for name in network.convolutional:
            features = network.get_submodule(name)(features)
            shapes[name] = tuple(features.shape[1:])
    assert shapes["pool1"] == (64, 16, 56, 56)
    assert shapes["pool4"] == (512, 2, 7, 7)
    assert shapes["pool5"] == (512, 1, 4, 4)
    # So that what fc6 sees is not changed.
    assert torch.equal(network.pooling(torch.ones(1, 512, 1, 4, 4)), torch.ones(1, 512, 1, 4, 4))


def test_it_has_eight_convolutions_of_3x3x3() -> None:
    with torch.device("meta"):
        network = C3D(num_classes=2)
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv3d)]
    assert [c.kernel_size for c in convolutions] == [(3, 3, 3)] * 8
    assert [c.out_channels for c in convolutions] == [width for stage in CONVOLUTIONS for _, width in stage]


def test_a_shuffled_clip_is_another_clip() -> None:
    torch.manual_seed(0)
    network = C3D(num_classes=3, width=0.125, hidden_features=16, pooled_size=(1, 1, 1)).eval()
    clip = torch.randn(1, 3, 8, 32, 32)
    assert not torch.allclose(network(clip), network(clip.flip(2)), atol=1e-4)
