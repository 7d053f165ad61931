"""What every process has counted of an epoch that is interrupted; a checkpoint's weights are the first process's."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, distributed
from torchmetrics import Metric

_KEY = "metrics_of_ranks"


class RankMetrics(Callback):
    """Puts the metric states of all processes into a checkpoint, and gives each its own back."""

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.world_size > 1:
            states: list[dict[str, Tensor] | None] = [None] * trainer.world_size
            distributed.all_gather_object(states, _metric_states(pl_module))
            checkpoint[_KEY] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if _KEY in checkpoint and len(checkpoint[_KEY]) == trainer.world_size:
            own = checkpoint[_KEY][trainer.global_rank]
            pl_module.load_state_dict({name: value.to(pl_module.device) for name, value in own.items()}, strict=False)


def _metric_states(module: LightningModule) -> dict[str, Tensor]:
    prefixes = tuple(f"{name}." for name, part in module.named_modules() if isinstance(part, Metric))
    return {name: value.cpu() for name, value in module.state_dict().items() if name.startswith(prefixes)}
