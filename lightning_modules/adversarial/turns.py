"""Steps of networks with opposed losses: each takes its turn, all other weights held still.

Lightning leaves to such a model what it does for others, and refuses accumulation and clipping; here they work as
everywhere. Accumulation gathers batches and takes every turn over all of them, so that two batches of 8 are one of 16.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed, nn

BatchT = TypeVar("BatchT")


@dataclass(frozen=True)
class Turn(Generic[BatchT]):
    """One player's part in a step.

    Attributes:
        networks: what it trains, with the optimiser of the same place in `configure_optimizers`.
        loss: of a batch, the mean over its samples.
    """

    networks: tuple[nn.Module, ...]
    loss: Callable[[BatchT], Tensor]


def optimise_by_hand_(module: LightningModule) -> None:
    """What `setup("fit")` of such a model calls: not earlier, for Lightning would refuse accumulation and clipping.

    Raises:
        ValueError: the processes share out a network's weights among them.
    """
    if module.trainer.world_size > 1 and not isinstance(module.trainer.strategy, DDPStrategy):
        raise ValueError(
            f"trainer.strategy={type(module.trainer.strategy).__name__}: networks that train against each other need"
            " all their weights in every process; set trainer=ddp"
        )
    module.automatic_optimization = False


def is_turn(module: LightningModule, batch_idx: int) -> bool:
    """Whether enough batches are gathered for a step, or the epoch ends."""
    trainer = module.trainer
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch


def take_turns_(module: LightningModule, batches: Sequence[BatchT], turns: Sequence[Turn[BatchT]]) -> list[Tensor]:
    """One step of every player, one after the other; returns each one's loss.

    Only the last one's counts as a step of the run: a batch is a step, however many play.
    """
    optimizers = module.optimizers()
    assert isinstance(optimizers, list)
    losses = []
    for turn, optimizer in zip(turns, optimizers, strict=True):
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.optimizer.zero_grad()
        total = torch.zeros((), device=module.device)
        trained = {id(parameter) for network in turn.networks for parameter in network.parameters()}
        others = [parameter for parameter in module.parameters() if id(parameter) not in trained]
        with held_still(others), _no_exchange(module):
            for batch in batches:
                loss = turn.loss(batch)
                module.manual_backward(loss / len(batches))
                total = total + loss.detach() / len(batches)
        _average_gradients_(module, turn.networks)
        if optimizer is optimizers[-1]:
            optimizer.step()
        else:
            # Through the precision plugin, past Lightning's count of steps.
            module.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
        losses.append(total)
    _share_buffers_(module)
    schedulers = module.lr_schedulers() or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        scheduler.step()  # type: ignore[call-arg]  # none of ours waits for a metric
    return losses


def clip_gradients_(module: LightningModule, optimizer: torch.optim.Optimizer) -> None:
    """What `on_before_optimizer_step` of such a model calls: there mixed precision has undone its scaling."""
    trainer = module.trainer
    module.clip_gradients(
        optimizer,
        gradient_clip_val=trainer.gradient_clip_val,
        gradient_clip_algorithm=trainer.gradient_clip_algorithm,
    )


@contextmanager
def held_still(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Parameters that get no gradient, which also saves computing it."""
    held = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in held:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad = True


def _no_exchange(module: LightningModule) -> AbstractContextManager[None]:
    """DDP would wait for gradients of parameters that are held still; they are averaged below."""
    strategy = module.trainer.strategy
    return strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext()


def _average_gradients_(module: LightningModule, networks: Iterable[nn.Module]) -> None:
    if module.trainer.world_size == 1:
        return
    gradients = [p.grad for network in networks for p in network.parameters() if p.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(together)
    together /= module.trainer.world_size
    parts = torch.split(together, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _share_buffers_(module: LightningModule) -> None:
    """Batch normalisation's means are those of the first process, as in DDP; a checkpoint holds only that one's."""
    if module.trainer.world_size == 1:
        return
    for buffer in module.network.buffers():  # type: ignore[union-attr]  # every model has a network
        distributed.broadcast(buffer, src=0)
