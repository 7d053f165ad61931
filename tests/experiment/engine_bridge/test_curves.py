"""The same network, weights and batches under both engines: the loss curves are one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiment.engine_bridge.recording import from_scratch
from experiment.engine_bridge.training_steps import in_torchs_graph

NUM_STEPS = 100


class Recurrent(nn.Module):
    """An LSTM read out at its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, num_layers=2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.lstm(x)[0][:, -1])
        return scores


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 3))


def _cnn() -> nn.Module:
    # Without a bias in front of batch normalisation: its gradient is 0, and Adam would make steps of rounding errors.
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 3),
    )


def _attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(24, 3))


NETWORKS = {"MLP": _mlp, "CNN": _cnn, "LSTM": Recurrent, "attention": _attention}


def _curve(make: Callable[[], nn.Module], *, engine: str, dtype: torch.dtype) -> Tensor:
    torch.manual_seed(0)
    network = make().to(dtype)
    label = torch.randint(3, (32,))
    image = torch.randn(32, 6, 4, dtype=dtype) + label[:, None, None]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for step in range(NUM_STEPS):
        rows = slice(8 * (step % 4), 8 * (step % 4) + 8)
        if engine == "torch":
            loss = F.cross_entropy(network(image[rows]), label[rows])
        else:
            with from_scratch() as recording:
                loss = F.cross_entropy(network(image[rows]), label[rows])
            loss = in_torchs_graph(recording, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@pytest.mark.parametrize("name", NETWORKS)
# The issue asks for 1e-10 and 1e-5.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_loss_curves_of_a_hundred_steps_agree(name: str, dtype: torch.dtype, tolerance: float) -> None:
    theirs = _curve(NETWORKS[name], engine="torch", dtype=dtype)
    ours = _curve(NETWORKS[name], engine="scratch", dtype=dtype)
    assert theirs[-4:].mean() < 0.9 * theirs[:4].mean(), "nothing was learned"
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
