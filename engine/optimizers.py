"""Optimisers, and hooks that change the gradients before each update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

from engine.layers import Layer
from engine.variable import Array, Parameter

Hook: TypeAlias = Callable[[list[Parameter]], None]


class Optimizer:
    """Updates every parameter that has a gradient; what it remembers of one stands in `state`.

    A subclass writes `update_one`: it changes `parameter.array` in place.
    """

    def __init__(self, lr: float) -> None:
        if lr < 0:
            raise ValueError(f"lr={lr} is negative")
        self.lr = lr
        self.target: Layer | None = None
        self.hooks: list[Hook] = []
        self.state: dict[int, dict[str, Any]] = {}

    def setup(self, target: Layer) -> Optimizer:
        """Take the layer whose parameters are to be trained."""
        self.target = target
        return self

    def add_hook(self, hook: Hook) -> None:
        """Call a function with the parameters that have a gradient, before each update, in the order of adding."""
        self.hooks.append(hook)

    def update(self) -> None:
        """Run the hooks, then update."""
        parameters = [p for p in self._parameters() if p.grad is not None and p.requires_grad]
        for hook in self.hooks:
            hook(parameters)
        for parameter in parameters:
            if parameter.grad is not None:  # a hook may have taken it away
                self.update_one(parameter, parameter.grad.array, self.state.setdefault(id(parameter), {}))

    def update_one(self, parameter: Parameter, gradient: Array, state: dict[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no update_one")

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on later: the learning rate, and the state by the parameter's place in the layer."""
        numbered = enumerate(self._parameters())
        return {"lr": self.lr, "state": {i: dict(self.state[id(p)]) for i, p in numbered if id(p) in self.state}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict` of the same optimiser and layer."""
        parameters = self._parameters()
        if max(state_dict["state"], default=-1) >= len(parameters):
            raise ValueError(f"the state is of more parameters than the {len(parameters)} of this layer")
        self.lr = state_dict["lr"]
        self.state = {
            id(parameters[i]): {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in state.items()}
            for i, state in state_dict["state"].items()
        }

    def _parameters(self) -> list[Parameter]:
        if self.target is None:
            raise RuntimeError(f"{type(self).__name__} has nothing to update; call setup(model) first")
        return list(self.target.params())


class SGD(Optimizer):
    """Gradient descent: p ← p - lr · g."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__(lr)

    def update_one(self, parameter: Parameter, gradient: Array, state: dict[str, Any]) -> None:
        parameter.array.sub_(gradient, alpha=self.lr)


class MomentumSGD(Optimizer):
    """Gradient descent with momentum (Polyak 1964): v ← momentum · v - lr · g, p ← p + v."""

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr)
        self.momentum = momentum

    def update_one(self, parameter: Parameter, gradient: Array, state: dict[str, Any]) -> None:
        velocity = state.setdefault("velocity", torch.zeros_like(parameter.array))
        parameter.array.add_(velocity.mul_(self.momentum).sub_(gradient, alpha=self.lr))


class AdaGrad(Optimizer):
    """Steps divided by the root of all squared gradients so far (Duchi et al. 2011)."""

    def __init__(self, lr: float = 0.001, eps: float = 1e-8) -> None:
        super().__init__(lr)
        self.eps = eps

    def update_one(self, parameter: Parameter, gradient: Array, state: dict[str, Any]) -> None:
        total = state.setdefault("total", torch.zeros_like(parameter.array))
        total.addcmul_(gradient, gradient)
        parameter.array.addcdiv_(gradient, total.sqrt().add_(self.eps), value=-self.lr)


class AdaDelta(Optimizer):
    """Steps in the unit of the parameter (https://arxiv.org/abs/1212.5701, algorithm 1)."""

    def __init__(self, rho: float = 0.95, eps: float = 1e-6, lr: float = 1.0) -> None:
        super().__init__(lr)
        self.rho = rho
        self.eps = eps

    def update_one(self, parameter: Parameter, gradient: Array, state: dict[str, Any]) -> None:
        gradients = state.setdefault("gradients", torch.zeros_like(parameter.array))
        steps = state.setdefault("steps", torch.zeros_like(parameter.array))
        gradients.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        step = (steps + self.eps).sqrt_().div_((gradients + self.eps).sqrt_()).mul_(gradient)
        steps.mul_(self.rho).addcmul_(step, step, value=1 - self.rho)
        parameter.array.sub_(step, alpha=self.lr)


class Adam(Optimizer):
    """Momentum and scale from running means (https://arxiv.org/abs/1412.6980, algorithm 1)."""

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(lr)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    def update_one(self, parameter: Parameter, gradient: Array, state: dict[str, Any]) -> None:
        mean = state.setdefault("mean", torch.zeros_like(parameter.array))
        square = state.setdefault("square", torch.zeros_like(parameter.array))
        step = state["step"] = state.get("step", 0) + 1
        mean.lerp_(gradient, 1 - self.beta1)
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        scale = square.sqrt().div_(math.sqrt(1 - self.beta2**step)).add_(self.eps)
        parameter.array.addcdiv_(mean, scale, value=-self.lr / (1 - self.beta1**step))


class WeightDecay:
    """Adds `rate · p` to each gradient: the derivative of rate / 2 · |p|²."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, parameters: Sequence[Parameter]) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.array.add_(parameter.array, alpha=self.rate)


class ClipGrad:
    """Scales all gradients together so that their common norm is at most `max_norm` (https://arxiv.org/abs/1211.5063)."""

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def __call__(self, parameters: Sequence[Parameter]) -> None:
        gradients = [p.grad.array for p in parameters if p.grad is not None]
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
        if norm > self.max_norm:
            for gradient in gradients:
                gradient.mul_(self.max_norm / norm)


class FreezeParam:
    """Takes the gradients of layers (or of single parameters) away, so that they stay as they are."""

    def __init__(self, *targets: Layer | Parameter) -> None:
        self.targets = targets

    def __call__(self, parameters: Sequence[Parameter]) -> None:
        for target in self.targets:
            for parameter in [target] if isinstance(target, Parameter) else target.params():
                parameter.cleargrad()
