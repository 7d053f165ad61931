"""What a frozen backbone makes of an image, computed once."""

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import StochasticDepth


class _TopReached(Exception):  # noqa: N818 - a signal within this file
    """The features are computed; the rest of the network need not run."""


class FeatureCache:
    """Features by the content of an image, so that data and their order need not be known.

    Every image is computed alone: its features do not depend on the batch that it first came in, hence a resumed run,
    whose cache begins empty, ends with the same bits.

    Args:
        network: frozen but for `top`.
        top: name of the part whose input are the features; its output are the network's scores.

    Attributes:
        num_hits: how often in training an image was known.

    Raises:
        ValueError: something before `top` is drawn at random in training, so that features differ from visit to visit.
    """

    def __init__(self, network: nn.Module, top: str) -> None:
        self.network = network
        self.top: nn.Module = getattr(network, top)
        self.features: dict[bytes, Tensor] = {}
        self.num_hits = 0
        inside = set(self.top.modules())
        for name, module in network.named_modules():
            is_random = isinstance(module, nn.modules.dropout._DropoutNd | StochasticDepth)
            if is_random and module.training and module not in inside:
                raise ValueError(
                    f"model.cache_features: {name} drops features at random before {top}; choose another backbone or"
                    " model.cache_features=false"
                )

    def scores(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """The same as the network's, by its last part alone where an image is known."""
        features = torch.cat([self._features_of(image[row : row + 1]) for row in range(len(image))])
        scores: Tensor = self.top(features)
        # Some networks end in maps of one place.
        return scores.flatten(start_dim=1)

    def _features_of(self, image: Float[Tensor, "1 C H W"]) -> Tensor:
        content = image.detach().float().cpu().contiguous().numpy().tobytes()
        key = hashlib.blake2b(content, digest_size=16).digest()
        if key in self.features:
            self.num_hits += self.top.training
        else:
            self.features[key] = self._compute(image)
        return self.features[key]

    def _compute(self, image: Float[Tensor, "1 C H W"]) -> Tensor:
        found: list[Tensor] = []

        def stop(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found.append(inputs[0])
            raise _TopReached

        hook = self.top.register_forward_pre_hook(stop)
        try:
            # A validation's inference mode would leave tensors that no training can use.
            with torch.inference_mode(mode=False), torch.no_grad():
                self.network.forward(image.clone())
        except _TopReached:
            return found[0]
        finally:
            hook.remove()
        raise AssertionError("the network did not use its own last part")
