"""Gradients and buffers of several processes that train networks against each other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn

from lightning_modules.adversarial import turns


def test_only_what_is_not_held_still_gets_a_gradient_and_all_are_free_again() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    with turns.held_still([*first.parameters(), frozen]):
        second(first(torch.ones(1, 2))).sum().backward()
    assert all(parameter.grad is None for parameter in first.parameters())
    assert all(parameter.grad is not None for parameter in second.parameters())
    assert all(parameter.requires_grad for parameter in first.parameters())
    assert not frozen.requires_grad


def _process(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for index, parameter in enumerate(network.parameters()):
        parameter.grad = torch.full_like(parameter, float(index + 10 * rank))
    # One without a gradient is left out in all processes.
    network[0].bias.grad = None
    network[1].running_mean.fill_(rank + 1)
    module: Any = SimpleNamespace(trainer=SimpleNamespace(world_size=2), network=network)
    turns._average_gradients_(module, [network])
    turns._share_buffers_(module)
    gradients = {name: p.grad for name, p in network.named_parameters()}
    torch.save({"gradients": gradients, "mean": network[1].running_mean}, Path(folder) / f"{rank}.pt")


@pytest.mark.slow
def test_processes_take_the_step_of_the_mean_gradient_and_keep_the_first_ones_buffers(tmp_path: Path) -> None:
    multiprocessing.spawn(_process, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found["gradients"]["0.bias"] is None
        assert (found["gradients"]["0.weight"] == 5).all()
        # The mean of 3 and 13.
        assert (found["gradients"]["1.bias"] == 8).all()
        assert (found["mean"] == 1).all()
