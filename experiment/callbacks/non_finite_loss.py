"""A loss that is no number ends the run at that step, or is left out: what follows would be noise, and cost hours."""

from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from datamodules.loading import TrainingOrder
from experiment.failures import RunFailed

_NAMED_SAMPLES = 8
_MOST_IN_A_ROW = 10


class NonFiniteLoss(Callback):
    """Ends a run whose loss is NaN or infinite, before a checkpoint of it is written, or leaves that step out.

    A model whose loss is a sum returns the terms beside it, `{"loss": …, "loss_boxes": …}`: the guilty one is named.

    Args:
        action: `stop` ends the run; `skip` undoes the step (buffers and metrics too, for which they are copied at every
            step) and counts it, up to ten in a row.
        every_n_steps: how often `stop` looks; on a GPU every look waits for it, so look less often there.

    Raises:
        ValueError: `every_n_steps` is not positive.
    """

    def __init__(self, *, action: Literal["stop", "skip"], every_n_steps: int) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps={every_n_steps} is not a number of steps; take 1 or more")
        self.action = action
        self.every_n_steps = every_n_steps
        self.num_skipped = 0
        self._num_in_a_row = 0
        self._is_bad: Tensor | None = None
        self._state_before: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"num_skipped": self.num_skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_skipped = state_dict["num_skipped"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.action == "skip" and batch_idx % trainer.accumulate_grad_batches == 0:
            parameters = {name for name, _ in pl_module.named_parameters()}
            state = pl_module.state_dict()
            self._state_before = {name: value.clone() for name, value in state.items() if name not in parameters}

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        # Kept on the device: to ask would be to wait.
        is_bad = ~torch.isfinite(loss.detach()).all()
        self._is_bad = is_bad if self._is_bad is None else self._is_bad | is_bad

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self.action == "stop":
            return
        is_bad = self._pop()
        if trainer.world_size > 1:
            # Gradients have been exchanged: all are spoilt.
            is_bad = trainer.strategy.reduce_boolean_decision(is_bad, all=False)
        if not is_bad:
            self._num_in_a_row = 0
            return
        # An optimiser leaves parameters without a gradient as they are.
        optimizer.zero_grad(set_to_none=True)
        pl_module.load_state_dict(self._state_before, strict=False)
        self.num_skipped += 1
        self._num_in_a_row += 1
        where = _place(trainer, trainer.fit_loop.batch_idx)
        rank_zero_warn(f"the loss is not finite at {where}; the step is skipped, the {self.num_skipped}th so far")
        if self._num_in_a_row > _MOST_IN_A_ROW:
            raise RunFailed(f"{self._num_in_a_row} steps in a row had a loss that is not finite, the last at {where}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % self.every_n_steps == 0 or batch_idx + 1 == trainer.num_training_batches:
            self._stop_if_bad(trainer, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.num_skipped:
            pl_module.log("train/skipped_steps", float(self.num_skipped))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # A state that a later look would have found spoilt is in no checkpoint.
        self._stop_if_bad(trainer, None, None, trainer.fit_loop.batch_idx)
        spoilt = [name for name, parameter in pl_module.named_parameters() if _is_spoilt(parameter.detach())]
        if spoilt:
            raise RunFailed(
                f"the weights are not finite after step {trainer.global_step} ({spoilt[0]} is the first of"
                f" {len(spoilt)}), though the loss was; lower optim.lr, or set trainer.gradient_clip_val=1"
            )

    def _stop_if_bad(self, trainer: Trainer, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.action == "skip" or not self._pop():
            return
        terms = outputs if isinstance(outputs, dict) else {"loss": outputs}
        guilty = [name for name, value in terms.items() if _is_spoilt(value)]
        guilty += [f"batch.{name}" for name, value in _fields(batch) if _is_spoilt(value)]
        values = ", ".join(guilty) or "the loss"
        where = _place(trainer, batch_idx)
        if self.every_n_steps > 1:
            where = f"one of the {self.every_n_steps} steps before step {trainer.global_step + 1}"
        error = RunFailed(
            f"the loss is not finite at {where}: {values}; lower optim.lr, set"
            " trainer.gradient_clip_val=1, look for bad values in data, or leave such steps out with"
            " callbacks.non_finite_loss.action=skip"
        )
        # For the run's log.
        error.add_note(f"samples of the batch: {_samples(trainer, batch_idx)}")
        raise error

    def _pop(self) -> bool:
        is_bad, self._is_bad = self._is_bad, None
        return is_bad is not None and bool(is_bad)


def _samples(trainer: Trainer, batch_idx: int) -> list[int]:
    order = getattr(trainer.train_dataloader, "batch_sampler", None)
    return order.samples(trainer.current_epoch, batch_idx) if isinstance(order, TrainingOrder) else []


def _place(trainer: Trainer, batch_idx: int) -> str:
    samples = _samples(trainer, batch_idx)
    more = f" and {len(samples) - _NAMED_SAMPLES} more" if len(samples) > _NAMED_SAMPLES else ""
    named = f", samples {', '.join(map(str, samples[:_NAMED_SAMPLES]))}{more}" if samples else ""
    return f"step {trainer.global_step} (epoch {trainer.current_epoch}, batch {batch_idx}{named})"


def _fields(batch: Any) -> list[tuple[str, Any]]:
    return list(zip(batch._fields, batch, strict=True)) if hasattr(batch, "_fields") else []


def _is_spoilt(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_spoilt(entry) for entry in value)
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all())
