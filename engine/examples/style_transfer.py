"""One picture in the manner of another: neural style transfer (https://arxiv.org/abs/1508.06576).

    python -m engine.examples.style_transfer --picture result.png [--weights vgg16-397923af.pth]

Here no network is trained: the picture is what gradient descent changes. Its features deep in VGG-16 are to stay those
of the content; how its features go together (their Gram matrices, at several depths) is to become that of the style.
Without weights the network is random: that is enough for colours and fine grain (https://arxiv.org/abs/1606.00021),
not for strokes.

Expected with --size 50 --steps 40: the distance from the style falls from 3.28 to 0.15, that from the content rises
to 0.17.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torchvision.utils import save_image

from engine import Array, Parameter, Value, as_array, no_grad
from engine import functions as F
from engine.examples.vgg16 import VGG16
from engine.layers import Layer
from engine.optimizers import Adam

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)  # of ImageNet's pixels, as torchvision's weights want
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)


class Losses(NamedTuple):
    """How far a picture is from what it should show and how it should look, relative to the size of each."""

    content: float
    style: float


class Canvas(Layer):
    """A picture as the only parameter: what an optimiser changes."""

    def __init__(self, picture: Array) -> None:
        self.picture = Parameter(picture.clone(), name="picture")


def gram(features: Value) -> Value:
    """Products of every two channels, mean over the places (equation 3): what goes together, wherever it is."""
    rows = F.reshape(features, (features.shape[1], -1))
    return F.matmul(rows, F.transpose(rows)) * (1.0 / rows.shape[1])


def seen(network: VGG16, picture: Value, num_blocks: int) -> list[Value]:
    """The features of the first blocks."""
    return network.features((picture - MEAN) * (1.0 / STD), num_blocks=num_blocks)


def squared(x: Value, wanted: Array) -> Value:
    """Squared distance, relative to the size of what is wanted."""
    difference = x - wanted
    return F.sum(difference * difference) * (1.0 / wanted.square().sum().item())


def sample_pictures(size: int) -> tuple[Array, Array]:
    """A temple and a flower, (1, 3, size, size) in [0, 1], from scikit-learn."""
    from sklearn.datasets import load_sample_images

    content, style = (
        as_array(picture).permute(2, 0, 1)[None, :, :400, :400].float() / 255.0
        for picture in load_sample_images().images
    )
    crop = 400 // size
    return tuple(as_array(F.average_pooling(p, crop, crop))[..., :size, :size] for p in (content, style))  # type: ignore[return-value]


def transfer(
    content: Array,
    style: Array,
    *,
    weights: Mapping[str, Array] | None = None,
    num_blocks: int = 3,
    style_weight: float = 1.0,
    steps: int = 60,
    lr: float = 0.02,
    seed: int = 0,
) -> tuple[Array, Sequence[Losses]]:
    """Start from the content; return the picture, and after each step its distance from content and style."""
    torch.manual_seed(seed)
    network = VGG16(weights)
    with no_grad():
        wanted = as_array(seen(network, content, num_blocks)[-1])
        grams = [as_array(gram(features)) for features in seen(network, style, num_blocks)]
    for parameter in network.params():
        parameter.requires_grad = False
    canvas = Canvas(content)
    optimizer = Adam(lr).setup(canvas)
    history = []
    for _ in range(steps):
        features = seen(network, canvas.picture, num_blocks)
        content_loss = squared(features[-1], wanted)
        style_loss = squared(gram(features[0]), grams[0])
        for block, wanted_gram in zip(features[1:], grams[1:], strict=True):
            style_loss = style_loss + squared(gram(block), wanted_gram)
        loss = content_loss + style_loss * style_weight
        history.append(Losses(as_array(content_loss).item(), as_array(style_loss).item()))
        canvas.cleargrads()
        loss.backward()
        optimizer.update()
        canvas.picture.array.clamp_(0.0, 1.0)
    return canvas.picture.array, history


def main() -> None:
    """Paint the temple like the flower."""
    parser = argparse.ArgumentParser(description="neural style transfer on the engine alone")
    parser.add_argument("--picture", help="a file for content, style and result, side by side")
    parser.add_argument("--weights", help="torchvision's VGG-16; random without it")
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    weights = torch.load(options.weights, weights_only=True) if options.weights else None
    content, style = sample_pictures(options.size)
    result, history = transfer(content, style, weights=weights, steps=options.steps)
    for step in sorted({0, len(history) // 2, len(history) - 1}):
        print(f"step {step}: content {history[step].content:.4f}, style {history[step].style:.4f}")
    if options.picture:
        save_image(torch.cat([content, style, result]), options.picture)


if __name__ == "__main__":
    main()
