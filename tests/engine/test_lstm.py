"""A sequence through an LSTM as one function: both kernels, and what is guarded."""

# ruff: noqa: N806 - a weight is W

import pytest
import torch

from engine import Variable, grad, using_config
from engine import functions as F

SHAPES = (5, 3, 4), (24, 4), (24, 6), (24,), (3, 6), (3, 6)  # x, W_x, W_h, b, hidden, state


def inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [Variable(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def outcome(kernels, *, create_graph=False):
    leaves = inputs()
    with using_config("kernels", kernels):
        y, last = F.lstm(*leaves)
        total = F.sum(y * y) + F.sum(F.sin(last))
        gradients = grad(total, leaves, create_graph=create_graph)
    return [y.array, last.array, *(g.array for g in gradients)]


@pytest.mark.parametrize("create_graph", [False, True])
def test_torchs_kernel_gives_what_ours_gives(create_graph):
    for ours, theirs in zip(outcome("scratch"), outcome("vendor", create_graph=create_graph), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernels", ["scratch", "vendor"])
def test_outputs_are_those_of_torchs_network(kernels):
    leaves = inputs()
    theirs = torch.nn.LSTM(4, 6)
    x, W_x, W_h, b, hidden, state = (leaf.array for leaf in leaves)
    theirs.load_state_dict(
        {"weight_ih_l0": W_x, "weight_hh_l0": W_h, "bias_ih_l0": b, "bias_hh_l0": torch.zeros_like(b)}
    )
    with using_config("kernels", kernels):
        y, last = F.lstm(*leaves)
    expected, (_, expected_last) = theirs(x, (hidden[None], state[None]))
    torch.testing.assert_close(y.array, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last.array, expected_last[0], rtol=1e-5, atol=1e-6)


def test_an_unused_last_state_has_no_gradient_to_give():
    leaves = inputs(torch.float64)
    y, _ = F.lstm(*leaves)
    alone = grad(F.sum(y), leaves)
    y, last = F.lstm(*leaves)
    with_nothing = grad(F.sum(y) + F.sum(last * 0.0), leaves)
    for a, b in zip(alone, with_nothing, strict=True):
        torch.testing.assert_close(a.array, b.array)


def test_a_gradient_comes_only_where_it_is_wanted():
    x, *rest = inputs()
    y, _ = F.lstm(x.array, *rest)
    F.sum(y).backward()
    assert x.grad is None
    assert all(leaf.grad is not None for leaf in rest)


@pytest.mark.parametrize("kernels", ["scratch", "vendor"])
def test_hidden_vectors_changed_in_place_are_noticed_and_a_second_pass_is_refused(kernels):
    leaves = inputs()
    with using_config("kernels", kernels):
        y, _ = F.lstm(*leaves)
        total = F.sum(y)
        y.array.mul_(2.0)
        with pytest.raises(RuntimeError, match=r"'y0'.*changed in place"):
            total.backward()
        total = F.sum(F.lstm(*leaves)[0])
        total.backward()
        with pytest.raises(RuntimeError, match="freed by an earlier backward"):
            total.backward()
