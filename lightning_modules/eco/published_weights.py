"""The authors' weights, which have the names of their Caffe network, under ours.

| theirs | ours |
| --- | --- |
| `conv1_7x7_s2`, `conv1_7x7_s2_bn` | `front.conv1_7x7_s2.conv`, `.bn` |
| `inception_3a_double_3x3_1`, `..._bn` | `front.inception_3a.layers.double_3x3_1.conv`, `.bn` |
| `res3a_2`, `res4a_down` | `res3.a_2`, `res4.a_down` |
| `res3b_1`, `res3b_1_bn` | `res3.b_1.conv`, `.bn` |
| `res3a_bn` | `res3.a_bn` |
| `fc_action`, `fc_final`, `new_fc` | `fc` |

The authors' PyTorch files (https://github.com/mzolfagh/ECO-pytorch) have `module.base_model.` before these names, in a
dict under `state_dict`.
"""

import re

from lightning_modules.pretrained import Weights

_HEADS = ("fc_action", "fc_final", "new_fc")


def translate_caffe_names(weights: Weights) -> Weights:
    """Tensors under our names; one that has no such name keeps its own."""
    return Weights(weights.source, {_translated(name): tensor for name, tensor in weights.state.items()})


def _translated(name: str) -> str:
    layer, _, kind = name.removeprefix("base_model.").rpartition(".")
    part = "conv"
    if layer in _HEADS:
        return f"fc.{kind}"
    if (stage := re.fullmatch(r"(res\d)(.*)", layer)) is not None:
        own = stage[2].removesuffix("_bn")
        if own in ("a_1", "b_1"):
            part = "bn" if layer.endswith("_bn") else "conv"
            return f"{stage[1]}.{own}.{part}.{kind}"
        return f"{stage[1]}.{stage[2]}.{kind}"
    if layer.endswith("_bn"):
        layer, part = layer.removesuffix("_bn"), "bn"
    if (unit := re.fullmatch(r"(inception_\d[a-e])_(.*)", layer)) is not None:
        return f"front.{unit[1]}.layers.{unit[2]}.{part}.{kind}"
    if re.fullmatch(r"conv\d_.*", layer) is not None:
        return f"front.{layer}.{part}.{kind}"
    return name
