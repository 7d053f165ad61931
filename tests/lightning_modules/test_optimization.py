"""Optimisers and schedules from plain dicts."""

import math

import pytest
import torch
from torch import nn

from lightning_modules.optimization import build_optimization
from lightning_modules.schedules import Poly, WarmupCosine, WarmupLinear

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def _rates(num_steps: int, **schedule: float) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = WarmupCosine(optimizer, num_steps=num_steps, **schedule)  # type: ignore[arg-type]
    rates = []
    for _ in range(num_steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_rate_rises_linearly_then_falls_as_half_a_cosine() -> None:
    rates = _rates(20, warmup_fraction=0.2, final_fraction=0.1)
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    cosine = [2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / 16))) for step in range(16)]
    assert rates[4:] == pytest.approx(cosine)


def test_without_warm_up_the_rate_is_torchs_cosine() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(20):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert _rates(20, warmup_fraction=0.0) == pytest.approx(expected)


def test_a_longer_run_stretches_the_schedule_of_a_resumed_one() -> None:
    parameters = [nn.Parameter(torch.zeros(1))]
    short = WarmupCosine(torch.optim.SGD(parameters, lr=1.0), num_steps=10, warmup_fraction=0.0)
    for _ in range(10):
        short.optimizer.step()
        short.step()
    longer = WarmupCosine(torch.optim.SGD(parameters, lr=1.0), num_steps=20, warmup_fraction=0.0)
    longer.load_state_dict(short.state_dict())
    longer.optimizer.step()
    longer.step()
    assert longer.get_last_lr() == pytest.approx([0.5 * (1 + math.cos(math.pi * 11 / 20))])


def test_the_rate_rises_linearly_then_falls_linearly_to_0() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = WarmupLinear(optimizer, num_steps=10, warmup_fraction=0.2)
    rates = []
    for _ in range(11):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1.0, 2.0, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0])


def test_the_poly_rate_is_a_power_of_what_is_left() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = Poly(optimizer, num_steps=10, power=0.9)
    rates = []
    # Two steps more than announced: the rate stays at 0.
    for _ in range(12):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([2.0 * (1 - step / 10) ** 0.9 for step in range(10)] + [0.0, 0.0])


def test_the_poly_rate_is_torchs() -> None:
    ours, theirs = (torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0) for _ in range(2))
    schedules = (
        Poly(ours, num_steps=20, power=0.9),
        torch.optim.lr_scheduler.PolynomialLR(theirs, total_iters=20, power=0.9),
    )
    for _ in range(20):
        assert schedules[0].get_last_lr() == pytest.approx(schedules[1].get_last_lr())
        for scheduler in schedules:
            scheduler.optimizer.step()
            scheduler.step()


def test_a_negative_power_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scheduler.power=-1.0 would raise the rate without bound"):
        Poly(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0), num_steps=10, power=-1.0)


def test_groups_of_parameters_keep_their_rates_relation_over_a_schedule() -> None:
    groups = [
        {"name": name, "params": [nn.Parameter(torch.zeros(1))], "lr": rate} for name, rate in (("a", 1), ("b", 10))
    ]
    poly = {"_target_": "lightning_modules.schedules.Poly", "power": 0.9}
    built = build_optimization(groups, optimizer=SGD, scheduler=poly, num_steps=4)
    assert isinstance(built, dict)
    scheduler = built["lr_scheduler"]["scheduler"]  # type: ignore[index]
    for step in range(4):
        factor = (1 - step / 4) ** 0.9
        assert scheduler.get_last_lr() == pytest.approx([factor, 10 * factor])  # type: ignore[union-attr]
        built["optimizer"].step()
        scheduler.step()  # type: ignore[union-attr]


def test_a_fraction_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scheduler.warmup_fraction=5.0 is a fraction; choose one from 0 to 1"):
        _rates(10, warmup_fraction=5.0)


def test_a_schedules_length_is_the_runs() -> None:
    scheduler = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "eta_min": 0.0}
    built = build_optimization([nn.Parameter(torch.zeros(1))], optimizer=SGD, scheduler=scheduler, num_steps=77)
    assert isinstance(built, dict)
    assert built["lr_scheduler"]["scheduler"].T_max == 77  # type: ignore[index, union-attr]


def test_without_a_schedule_the_rate_is_constant() -> None:
    built = build_optimization([nn.Parameter(torch.zeros(1))], optimizer=SGD, scheduler=None, num_steps=10)
    assert isinstance(built, torch.optim.SGD)


@pytest.mark.parametrize("target", ["os.system", "torch.optim.lr_scheduler.StepLR", "torch.hub.load", None])
def test_what_is_no_optimiser_of_torch_is_refused(target: str | None) -> None:
    with pytest.raises(ValueError, match=r"is not a Optimizer class of torch.optim"):
        build_optimization([nn.Parameter(torch.zeros(1))], optimizer={"_target_": target}, scheduler=None, num_steps=1)
