"""The networks for images that ECO may begin with: BN-Inception, or any classifier of torchvision's, cut at a layer."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from lightning_modules.eco.bn_inception import BNInception, FrameFeatures
from lightning_modules.transfer.backbones import build_backbone

# Large enough for every network of torchvision's.
_PROBE_SIDE = 96


class GraftedFront(nn.Module):
    """One of torchvision's classifiers without its head; its maps are the output of one of its layers.

    Args:
        name: `resnet18`, `mobilenet_v3_small`, ...
        map_layer: the layer whose output is stacked over time, such as `layer2`, with an eighth of a frame's side.
        is_whole: False ends with the maps.

    Attributes:
        map_channels, feature_dim: see `BNInception`.

    Raises:
        ValueError: there is no such network, or no such layer in it.
    """

    def __init__(self, name: str, *, map_layer: str, is_whole: bool) -> None:
        super().__init__()
        # Any number of classes: the head is taken off.
        network, head, _ = build_backbone(name, num_classes=2)
        for parameter in head:
            network.set_submodule(parameter.rpartition(".")[0], nn.Identity())
        layers = get_graph_node_names(network)[0]
        if not any(layer == map_layer or layer.startswith(f"{map_layer}.") for layer in layers):
            names = [child for child, _ in network.named_children()]
            raise ValueError(f"model.map_layer={map_layer} is no layer of {name}; choose one of {', '.join(names)}")
        nodes = {map_layer: "maps", **({layers[-1]: "features"} if is_whole else {})}
        self.network = create_feature_extractor(network, return_nodes=nodes)
        device = next(self.network.parameters()).device
        self.network.eval()
        with torch.no_grad():
            maps, features = self(torch.zeros(1, 3, _PROBE_SIDE, _PROBE_SIDE, device=device))
        self.network.train()
        self.map_channels: int = maps.shape[1]
        self.feature_dim: int = features.shape[1] if features is not None else 0

    def forward(self, frame: Float[Tensor, "B 3 H W"]) -> FrameFeatures:
        found = self.network(frame)
        features = found["features"].flatten(start_dim=1) if "features" in found else None
        return FrameFeatures(found["maps"], features)


def build_front(name: str, *, map_layer: str | None, width: float, is_whole: bool) -> BNInception | GraftedFront:
    """The front of that name.

    Args:
        map_layer: of torchvision's networks only.
        width: of BN-Inception only; torchvision's networks have their own.

    Raises:
        ValueError: a layer is missing or has no meaning, or see `GraftedFront`.
    """
    if name == "bn_inception":
        if map_layer is not None:
            raise ValueError(f"model.map_layer={map_layer}: ECO takes inception_3c of bn_inception; set it to null")
        return BNInception(width=width, is_whole=is_whole)
    if map_layer is None:
        raise ValueError(
            f"model.front={name}: say which of its layers is stacked over time, such as model.map_layer=layer2"
        )
    return GraftedFront(name, map_layer=map_layer, is_whole=is_whole)
