"""A network.

Two lines in a row are a line. Put a bend between them and they can follow any curve: the first layer places bends, the
second adds them up. Here, twelve bends follow a wave that no line can.
"""

from __future__ import annotations

import torch

from engine import Parameter, Value, as_array
from engine import functions as F
from engine.steps.text_plot import curve


def wave() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1.0, 1.0, 120)[:, None]
    return x, (4.0 * x).sin() * x


def train(steps: int = 1000) -> tuple[torch.Tensor, float]:
    """Return the curve that was learned and its error."""
    generator = torch.Generator().manual_seed(1)
    W0 = Parameter(3.0 * torch.randn(1, 12, generator=generator))  # noqa: N806
    W1 = Parameter(0.3 * torch.randn(12, 1, generator=generator))  # noqa: N806
    b0, b1 = Parameter(torch.randn(12, generator=generator)), Parameter(torch.zeros(1))
    x, t = wave()

    def network() -> Value:
        return F.linear(F.tanh(F.linear(x, W0, b0)), W1, b1)

    for _ in range(steps):
        F.mean_squared_error(network(), t).backward()
        for parameter in (W0, b0, W1, b1):
            assert parameter.grad is not None
            parameter.array -= 0.1 * parameter.grad.array
            parameter.cleargrad()
    y = network()
    return as_array(y).flatten(), F.mean_squared_error(y, t).item()


def error_of_the_best_line() -> float:
    x, t = wave()
    columns = torch.cat([x, torch.ones_like(x)], 1)
    return float(((columns @ torch.linalg.lstsq(columns, t).solution - t) ** 2).mean())


def main() -> None:
    learned, error = train()
    print(curve(learned.tolist()))
    print(f"error {error:.4f}; of the best line {error_of_the_best_line():.4f}")


def test_bends_follow_what_no_line_can() -> None:
    assert train()[1] < 0.2 * error_of_the_best_line()
