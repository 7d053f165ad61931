"""Looking through a window.

An edge is an edge wherever it is. So slide one small set of weights over the picture: at each place, the sum of what
the window shows times the weights. With every window as a column (`im2col`) that is one matrix product. Here a digit,
and where its strokes begin and end from left to right.
"""

from __future__ import annotations

import torch

from engine import as_array
from engine import functions as F
from engine.config import using_config
from engine.datasets import Digits
from engine.steps.text_plot import shading

EDGES = torch.tensor([[[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]]])


def main() -> None:
    image = Digits()[0][0][None]
    print(shading(image[0, 0].tolist()))
    print("\nedges, from dark to bright:")
    edges = as_array(F.conv2d(image, EDGES, pad=1))
    print(shading(edges[0, 0].tolist()))


def test_a_convolution_is_a_product_with_the_windows() -> None:
    image = Digits()[0][0][None]
    windows = F.im2col(image, 3)
    product = as_array(F.matmul(windows, EDGES.reshape(-1, 1)))
    assert torch.allclose(as_array(F.conv2d(image, EDGES)).flatten(), product.flatten(), atol=1e-6)


def test_both_kernels_give_the_same() -> None:
    image, weight = torch.randn(2, 3, 9, 8), torch.randn(4, 3, 3, 2)
    results = []
    for kernels in ("scratch", "vendor"):
        with using_config("kernels", kernels):
            results.append(as_array(F.conv2d(image, weight, stride=2, pad=1)))
    assert torch.allclose(results[0], results[1], atol=1e-5)
