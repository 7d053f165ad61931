"""An optimiser, and a schedule, for each of several networks that train against each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_lightning import LightningModule
from torch import nn

from lightning_modules.optimization import build_optimization


def build_optimisers(
    module: LightningModule,
    players: Mapping[str, Sequence[nn.Module]],
    *,
    rate_factors: Mapping[str, float],
    optimizer: dict[str, Any],
    scheduler: dict[str, Any] | None,
) -> Any:
    """What `configure_optimizers` returns: the players' in their order, their rates logged under their names.

    Args:
        rate_factors: by which a player's rate differs from the optimiser's, if it does (https://arxiv.org/abs/1706.08500).
        optimizer, scheduler: see `build_optimization`.
    """
    return [
        build_optimization(
            [
                {
                    "params": [parameter for network in networks for parameter in network.parameters()],
                    "name": name,
                    "lr": optimizer["lr"] * rate_factors.get(name, 1.0),
                }
            ],
            optimizer=optimizer,
            scheduler=scheduler,
            num_steps=int(module.trainer.estimated_stepping_batches),
        )
        for name, networks in players.items()
    ]
