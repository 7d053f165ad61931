"""The authors' weights for the first network, as they are passed around in torch's format since Caffe.

Their COCO model (`pose_iter_440000.caffemodel`) exists as state dicts with Caffe's names of layers, `conv1_1.weight` to
`Mconv7_stage6_L2.bias`; some copies put `model0.` or the like before them. Order of joints and limbs is this project's.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.pretrained import read_weights

_CONVOLUTIONS_OF_VGG = (2, 2, 4, 2)
_NUM_STAGES = 6
# What the networks take: (byte / 255 - mean) / spread in red, green, blue; byte / 256 - 0.5 in blue, green, red.
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_SCALE, _CAFFE_SHIFT = 255 / 256, 0.5
_LAYER = re.compile(r"(?:.*\.)?(?P<layer>M?conv\d_\w+|Mconv\d_stage\d_L\d)\.(?P<part>weight|bias)$")


def layer_names() -> Iterator[tuple[str, str]]:
    """Caffe's name of every convolution, and the place of the same in `OpenPose2017` at the paper's size."""
    place = 0
    for resolution, count in enumerate(_CONVOLUTIONS_OF_VGG, start=1):
        for number in range(1, count + 1):
            yield f"conv{resolution}_{number}", f"features.{place}"
            place += 2
        # The pooling.
        place += 1
    yield "conv4_3_CPM", "reduction.0"
    yield "conv4_4_CPM", "reduction.2"
    for branch, stages in (("L1", "field_stages"), ("L2", "heatmap_stages")):
        for number in range(1, 6):
            yield f"conv5_{number}_CPM_{branch}", f"{stages}.0.{2 * (number - 1)}"
        for stage in range(2, _NUM_STAGES + 1):
            for number in range(1, 8):
                yield f"Mconv{number}_stage{stage}_{branch}", f"{stages}.{stage - 1}.{2 * (number - 1)}"


def is_released(state: dict[str, Any]) -> bool:
    """Whether a state dict has Caffe's names."""
    return any(_LAYER.match(name) for name in state)


def from_released(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under this project's names, for images normalised as this project does.

    The first layer's weights take on the difference of the two normalisations. Beyond the image's edge Caffe's network
    sees grey and ours the mean colour, so a frame of one pixel of the first layer's map differs.

    Raises:
        ValueError: a layer is missing, or one is there that the network has not.
    """
    given: dict[str, Tensor] = {}
    for name, tensor in state.items():
        match = _LAYER.match(name)
        given[f"{match['layer']}.{match['part']}" if match else name] = tensor
    expected = {f"{caffe}.{part}": f"{ours}.{part}" for caffe, ours in layer_names() for part in ("weight", "bias")}
    for surplus, said in ((expected.keys() - given.keys(), "lacks"), (given.keys() - expected.keys(), "also has")):
        if surplus:
            raise ValueError(
                f"released weights: the file {said} {len(surplus)} tensors, {sorted(surplus)[0]} among them; give the"
                " authors' COCO model of 18 joints"
            )
    converted = {ours: given[caffe] for caffe, ours in expected.items()}
    weight, bias = given["conv1_1.weight"], given["conv1_1.bias"]
    mean, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _SPREAD))
    # Its input channels are blue, green, red.
    weight = weight.flip(dims=(1,))
    converted["features.0.weight"] = weight * _CAFFE_SCALE * spread
    converted["features.0.bias"] = bias + (weight * (_CAFFE_SCALE * mean - _CAFFE_SHIFT)).sum(dim=(1, 2, 3))
    return converted


def load_weights_(network: nn.Module, file: Path) -> str:
    """Load the authors' weights, or torchvision's VGG-19 into the features; what was loaded, in words.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds other weights, or they do not fit the network.
    """
    source, state, _ = read_weights(file)
    own = network.state_dict()
    if is_released(state):
        chosen = from_released(state)
    else:
        chosen = {name: tensor for name, tensor in state.items() if name in own and name.startswith("features.")}
    fitting = {name for name, tensor in chosen.items() if name in own and own[name].shape == tensor.shape}
    needed = {name for name in own if is_released(state) or name.startswith("features.")}
    if fitting != needed:
        other = sorted((needed | chosen.keys()) - fitting)[0]
        raise ValueError(
            f"{file}: {other} does not fit; the authors' weights and torchvision's VGG-19 fit model=openpose at its"
            " full size, without batch norm"
        )
    network.load_state_dict(chosen, strict=False)
    return f"{source}: {len(fitting)} of the network's {len(own)} tensors loaded"
