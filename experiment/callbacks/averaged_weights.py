"""The mean over steps of a model's weights, which is validated, tested and kept in the place of the last step's.

Lightning's WeightAveraging does nearly this, but a test after training gets the last step's weights from its
checkpoints, and it averages the states of metrics and the means that a GAN keeps itself.
"""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, distributed
from torch.optim.swa_utils import AveragedModel

from experiment.failures import Refused

_KEY = "weights_of_training"


class AveragedWeights(Callback):
    """An exponential mean of parameters and floating-point buffers (batch normalisation's means) over steps.

    The decay of step n is at most (1 + n) / (10 + n), as in `averaged_copy`: a short run forgets its first weights.
    Checkpoints hold the mean as the model's weights, and beside it those that training goes on with.

    Args:
        decay: of the mean at every step, such as 0.999; null leaves it out.

    Raises:
        ValueError: `decay` is not between 0 and 1.
    """

    def __init__(self, *, decay: float | None) -> None:
        if decay is not None and not 0 < decay < 1:
            raise ValueError(f"decay={decay}: between 0 and 1, such as 0.999; null leaves it out")
        self.decay = decay
        self._num_updates = 0
        self._last_step = 0
        self._averages: dict[str, Tensor] | None = None
        self._of_training: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"num_updates": self._num_updates} if self.decay is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._num_updates = state_dict["num_updates"]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.decay is not None and _KEY in checkpoint and trainer.state.fn == TrainerFn.FITTING:
            # What the model has got is the mean.
            self._averages = _copies(pl_module)
            pl_module.load_state_dict(checkpoint[_KEY], strict=False)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Now the model is on its device."""
        if self.decay is None:
            return
        if self._averages is None:
            self._averages = _copies(pl_module)
        else:
            self._averages = {name: value.to(pl_module.device) for name, value in self._averages.items()}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        # Of batches whose gradients are gathered the last one takes the step.
        if self.decay is None or self._averages is None or trainer.global_step == self._last_step:
            return
        self._last_step = trainer.global_step
        decay = min(self.decay, (1 + self._num_updates) / (10 + self._num_updates))
        current = _averaged(pl_module)
        # From the mean towards the weights: what does not move, such as frozen weights, stays as it is to the last bit.
        torch._foreach_lerp_([self._averages[name] for name in current], list(current.values()), 1 - decay)
        self._num_updates += 1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._averages is not None:
            self._of_training = _copies(pl_module)
            self._use_averages(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, value in _averaged(pl_module).items() if self._of_training else ():
            value.copy_(self._of_training[name])
        self._of_training = {}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What a run without validation is tested with."""
        if self._averages is not None:
            self._use_averages(trainer, pl_module)
            self._averages = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._averages is None:
            return
        weights = checkpoint["state_dict"]
        checkpoint[_KEY] = {name: value for name, value in weights.items() if name in self._averages}
        checkpoint["state_dict"] = {name: self._averages.get(name, value) for name, value in weights.items()}

    def _use_averages(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self._averages is not None
        if trainer.world_size > 1:
            # Those of batch normalisation differ between processes, and a checkpoint has the first one's.
            for name, _ in pl_module.named_buffers():
                if name in self._averages:
                    distributed.broadcast(self._averages[name], src=0)
        for name, value in _averaged(pl_module).items():
            value.copy_(self._averages[name])


def refuse_averaging(trainer: Trainer, model: LightningModule) -> None:
    """Refuse averages that would be none, or that would not be used.

    Raises:
        Refused: the run asks for such.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of Lightning's connectors
    if any(isinstance(callback, WeightAveraging) for callback in callbacks):
        raise Refused(
            "Lightning's WeightAveraging has the test after training score the weights of the last step; set"
            " callbacks.averaged_weights.decay=0.999"
        )
    asked = [callback for callback in callbacks if isinstance(callback, AveragedWeights) and callback.decay is not None]
    if not asked:
        return
    name = f"callbacks.averaged_weights.decay={asked[0].decay}"
    if any(isinstance(part, AveragedModel) for part in model.modules()):
        raise Refused(f"{name}: {type(model).__name__} averages its weights itself; set model.average_decay instead")
    if str(trainer.precision) in ("16-true", "bf16-true"):
        raise Refused(
            f"{name}: in {trainer.precision} a mean has too few digits to move; set trainer.precision=bf16-mixed"
        )
    if trainer.world_size > 1 and not isinstance(trainer.strategy, DDPStrategy):
        raise Refused(f"{name} needs all weights in every process, which trainer=fsdp divides; set trainer=ddp")


def _averaged(module: LightningModule) -> dict[str, Tensor]:
    """The values themselves, to be read and written past autograd, under their names in a checkpoint."""
    parameters = module.named_parameters(remove_duplicate=False)
    buffers = module.named_buffers(remove_duplicate=False)
    return {name: value.detach() for name, value in (*parameters, *buffers) if value.is_floating_point()}


def _copies(module: LightningModule) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in _averaged(module).items()}
