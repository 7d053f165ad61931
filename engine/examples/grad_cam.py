"""Where did the network look? Grad-CAM (https://arxiv.org/abs/1610.02391, section 3).

    python -m engine.examples.grad_cam --picture cam.png

Each channel of the last features is weighted with the mean gradient of the class's score; what speaks for the class
remains. Shown on a network that tells crosses from rings somewhere in noise, and was never told where they are.

Expected: right in 100% of new images, and the brightest place on the shape in 100%; 20 seconds of one core.
"""

from __future__ import annotations

import argparse

import torch
from torchvision.utils import save_image

from engine import Array, Value, Variable, grad, test_mode
from engine import functions as F
from engine.layers import BatchNorm, Conv2d, Linear
from engine.models import Model
from engine.optimizers import Adam

SIZE, SHAPE = 32, 7  # pixels of a picture, and of what is in it


class ShapeReader(Model):
    """Convolutions, the mean over all places, a linear classifier."""

    def __init__(self) -> None:
        self.convolutions = [Conv2d(16, 3, pad=1, nobias=True), Conv2d(32, 3, pad=1, nobias=True), Conv2d(32, 3, pad=1)]
        self.norms = [BatchNorm(), BatchNorm()]
        self.classifier = Linear(2)

    def features(self, image: Value) -> Value:
        """Channels over places, at half the image's resolution."""
        x = F.relu(self.norms[0](self.convolutions[0](image)))
        x = F.relu(self.norms[1](self.convolutions[1](F.pooling(x, 2, 2))))
        return F.relu(self.convolutions[2](x))

    def classify(self, features: Value) -> Value:
        """Scores of the two shapes."""
        scores: Value = self.classifier(F.mean(features, (2, 3)))
        return scores

    def forward(self, image: Value) -> Value:
        return self.classify(self.features(image))


def shapes(generator: torch.Generator, *, count: int) -> tuple[Array, Array, Array]:
    """Noise with a cross or a ring somewhere in it: images, which it is (0, 1), and (y, x) of its upper left corner."""
    ring = torch.ones(SHAPE, SHAPE)
    ring[2:-2, 2:-2] = 0.0
    diagonal = torch.eye(SHAPE)
    cross = torch.maximum(diagonal, diagonal.flip(0))
    image = 0.3 * torch.randn(count, 1, SIZE, SIZE, generator=generator)
    label = torch.randint(2, (count,), generator=generator)
    corner = torch.randint(SIZE - SHAPE + 1, (count, 2), generator=generator)
    for picture, kind, (y, x) in zip(image, label.tolist(), corner.tolist(), strict=True):
        picture[0, y : y + SHAPE, x : x + SHAPE] += (cross, ring)[kind]
    return image, label, corner


def grad_cam(features: Variable, score: Variable) -> Array:
    """How much each place (B, H, W) of the features speaks for a score; `score` is summed over the images."""
    (gradient,) = grad(score, [features], retain_graph=True)
    weights = gradient.array.mean((2, 3), keepdim=True)
    return (weights * features.array).sum(1).clamp(min=0.0)


def maps_of(model: ShapeReader, image: Array, label: Array) -> Array:
    """Grad-CAM of each image for its class, as large as the image."""
    with test_mode():
        features = model.features(Variable(image))
        scores = model.classify(features)
        assert isinstance(features, Variable)
        assert isinstance(scores, Variable)
        chosen = F.sum(scores * torch.eye(2)[label])
        assert isinstance(chosen, Variable)
        return grad_cam(features, chosen).repeat_interleave(2, 1).repeat_interleave(2, 2)


def share_found(maps: Array, corner: Array) -> float:
    """In how many images the brightest place of the map lies on the shape."""
    brightest = maps.flatten(1).argmax(1)
    place = torch.stack([brightest // SIZE, brightest % SIZE], 1)
    return ((place >= corner) & (place < corner + SHAPE)).all(1).float().mean().item()


def train(*, steps: int = 150, batch_size: int = 64, seed: int = 0) -> tuple[ShapeReader, float]:
    """Return the network and the share of right answers on new images."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = ShapeReader()
    optimizer = Adam(0.005).setup(model)
    for _ in range(steps):
        image, label, _ = shapes(generator, count=batch_size)
        loss = F.softmax_cross_entropy(model(Variable(image)), label)
        assert isinstance(loss, Variable)
        model.cleargrads()
        loss.backward()
        optimizer.update()
    image, label, _ = shapes(generator, count=200)
    with test_mode():
        return model, F.accuracy(model(image), label).item()


def main() -> None:
    """Train and say where the network looked."""
    parser = argparse.ArgumentParser(description="Grad-CAM on the engine alone")
    parser.add_argument("--picture", help="a file for images and their maps")
    options = parser.parse_args()
    model, right = train()
    image, label, corner = shapes(torch.Generator().manual_seed(1), count=200)
    maps = maps_of(model, image, label)
    print(f"right: {right:.0%}; the brightest place lies on the shape in {share_found(maps, corner):.0%} of the images")
    if options.picture:
        shown = torch.cat([image[:8], (maps / maps.amax((1, 2), keepdim=True))[:8, None]])
        save_image(shown.repeat_interleave(4, 2).repeat_interleave(4, 3).clamp(0.0, 1.0), options.picture)


if __name__ == "__main__":
    main()
