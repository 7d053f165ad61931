"""Our 3D ResNet-18 is torchvision's."""

import pytest
import torch
from torchvision.models.video import r3d_18

from lightning_modules.r3d.network import R3D18


def test_outputs_and_gradients_equal_torchvisions_with_its_weights() -> None:
    torch.manual_seed(0)
    theirs = r3d_18(weights=None, num_classes=7)
    ours = R3D18(num_classes=7)
    ours.load_state_dict(theirs.state_dict())
    clip = torch.randn(2, 3, 4, 24, 24)
    for network in (ours, theirs):
        network.train()
    outputs = [network(clip) for network in (ours, theirs)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    of_theirs = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, of_theirs[name].grad)
    # With the running statistics that the batch has moved.
    torch.testing.assert_close(ours.eval()(clip), theirs.eval()(clip))


@pytest.mark.parametrize(("num_classes", "count"), [(101, 33_218_085), (400, 33_371_472)])
def test_the_number_of_parameters_is_torchvisions(num_classes: int, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in R3D18(num_classes=num_classes).parameters()) == count


def test_a_width_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width=0\.01 leaves the stem of 64 channels with none"):
        R3D18(num_classes=2, width=0.01)
