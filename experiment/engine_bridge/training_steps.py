"""A LightningModule whose training steps run on the engine, as torch, Lightning and DDP see them.

The engine's whole pass hangs in torch's graph as one node between the loss and the parameters. Whoever calls backward
(Lightning, a gradient scaler, DDP) gets to that node, the node runs the engine's reverse pass, and the gradients it
returns go on to where torch puts a parameter's gradient: so accumulation, clipping, averaging between processes and
optimisers are what they were.
"""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from engine import Variable
from engine.process_memory import prepare_process
from experiment.engine_bridge.recording import Recording, from_scratch


class _ReversePass(torch.autograd.Function):
    """From a loss to all leaves, by the engine."""

    @staticmethod
    def forward(ctx: Any, loss: Variable, leaves: list[Variable], retain_graph: bool, *_: Tensor) -> Tensor:  # noqa: FBT001 - torch takes no keywords here
        ctx.loss, ctx.leaves, ctx.retain_graph = loss, leaves, retain_graph
        return loss.array.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "model.engine=scratch: gradients of a step have no derivative of their own (create_graph=True); train"
                " with model.engine=torch"
            )
        for leaf in ctx.leaves:
            leaf.cleargrad()
        ctx.loss.backward(gradient, retain_graph=ctx.retain_graph)
        gradients = [None if leaf.grad is None else leaf.grad.array for leaf in ctx.leaves]
        for leaf in ctx.leaves:
            leaf.cleargrad()  # torch takes over memory that nobody else holds, and copies other
        return (None, None, None, *gradients)


def in_torchs_graph(recording: Recording, loss: Tensor, *, retain_graph: bool = False) -> Tensor:
    """The loss with one node behind it, the engine's pass; call it outside of the recording."""
    variable = recording.variable_of(loss)
    if variable is None:
        return loss
    tensors = [tensor for tensor, _ in recording.leaves.values()]
    leaves = [leaf for _, leaf in recording.leaves.values()]
    with torch.enable_grad():
        outcome: Tensor = _ReversePass.apply(variable, leaves, retain_graph, *tensors)
    return outcome


def train_from_scratch(model: LightningModule) -> None:
    """Have a model's training steps computed and differentiated by the engine."""
    prepare_process()
    step, backward = model.training_step, model.manual_backward
    outside = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    current: list[Recording] = []

    def training_step(*args: Any, **kwargs: Any) -> Any:
        with from_scratch() as recording:
            current[:] = [recording]
            outcome = step(*args, **kwargs)
        if isinstance(outcome, Tensor):
            return in_torchs_graph(recording, outcome)
        if isinstance(outcome, dict) and "loss" in outcome:
            return {**outcome, "loss": in_torchs_graph(recording, outcome["loss"])}
        return outcome

    def manual_backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
        # It is called within a training step, but torch's backward has to get to the node.
        with _disable_current_modes(), torch._C._ForceDispatchKeyGuard(*outside):
            node = in_torchs_graph(current[0], loss, retain_graph=bool(kwargs.get("retain_graph")))
            backward(node, *args, **kwargs)

    model.training_step = training_step  # type: ignore[method-assign]
    model.manual_backward = manual_backward  # type: ignore[method-assign]
