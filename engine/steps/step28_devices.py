"""Another device.

The engine never asks for a device: every array it makes is made beside one that it was given. So to compute on a GPU,
put model and data there. Without a GPU this shows it with torch's `meta` device, whose arrays have shapes but no
numbers: a model can be walked through, forwards and backwards, without its memory.
"""

from __future__ import annotations

import torch

from engine import functions as F
from engine.models import CNN


def devices_of_gradients(device: str) -> set[str]:
    model = CNN(1000, channels=(64, 256, 1024))
    image = torch.empty(32, 3, 64, 64, device=device)
    model.to(device)
    loss = F.softmax_cross_entropy(model(image), torch.empty(32, dtype=torch.int64, device=device))
    loss.backward()
    return {parameter.grad.device.type for parameter in model.params() if parameter.grad is not None}


def main() -> None:
    print("a GPU is here:", torch.cuda.is_available())
    print("gradients of a model of 68 million weights, on paper, lie on:", devices_of_gradients("meta"))


def test_no_array_leaves_its_device() -> None:
    assert devices_of_gradients("meta") == {"meta"}
