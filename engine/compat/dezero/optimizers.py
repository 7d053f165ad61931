"""DeZero's optimisers: the engine's; Adam's learning rate is called alpha."""

from engine.optimizers import SGD, AdaDelta, AdaGrad, ClipGrad, FreezeParam, MomentumSGD, Optimizer, WeightDecay
from engine.optimizers import Adam as EngineAdam

__all__ = ["SGD", "AdaDelta", "AdaGrad", "Adam", "ClipGrad", "FreezeParam", "MomentumSGD", "Optimizer", "WeightDecay"]


class Adam(EngineAdam):
    """DeZero's name for the learning rate, before its correction for the first steps."""

    def __init__(self, alpha: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(lr=alpha, beta1=beta1, beta2=beta2, eps=eps)
