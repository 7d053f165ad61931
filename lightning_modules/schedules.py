"""Learning rates over a run, as functions of the fraction of it that is done.

torch's OneCycleLR and CosineAnnealingLR keep their length in a checkpoint: a run that is resumed to train longer gets
an error from the one and a rising rate from the other. These compute the rate anew from the run's present length.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupCosine(LambdaLR):
    """Up linearly to the optimiser's rate, then down half a cosine (https://arxiv.org/abs/1608.03983, equation 5).

    Args:
        num_steps: optimiser steps of the whole run.
        warmup_fraction: of the steps, in which the rate rises.
        final_fraction: of the optimiser's rate, where it ends.

    Raises:
        ValueError: a fraction is not between 0 and 1.
    """

    def __init__(
        self, optimizer: Optimizer, *, num_steps: int, warmup_fraction: float, final_fraction: float = 0.0
    ) -> None:
        for name, fraction in {"warmup_fraction": warmup_fraction, "final_fraction": final_fraction}.items():
            if not 0 <= fraction <= 1:
                raise ValueError(f"scheduler.{name}={fraction} is a fraction; choose one from 0 to 1")
        num_warmup = round(num_steps * warmup_fraction)

        def factor(step: int) -> float:
            if step < num_warmup:
                return (step + 1) / num_warmup
            done = min(1.0, (step - num_warmup) / max(1, num_steps - num_warmup))
            return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * done))

        super().__init__(optimizer, factor)


class WarmupLinear(LambdaLR):
    """Up linearly to the optimiser's rate, then down linearly to 0 (https://arxiv.org/abs/1810.04805, section A.2).

    Args:
        num_steps: optimiser steps of the whole run.
        warmup_fraction: of the steps, in which the rate rises.

    Raises:
        ValueError: the fraction is not between 0 and 1.
    """

    def __init__(self, optimizer: Optimizer, *, num_steps: int, warmup_fraction: float) -> None:
        if not 0 <= warmup_fraction <= 1:
            raise ValueError(f"scheduler.warmup_fraction={warmup_fraction} is a fraction; choose one from 0 to 1")
        num_warmup = round(num_steps * warmup_fraction)

        def factor(step: int) -> float:
            if step < num_warmup:
                return (step + 1) / num_warmup
            return max(0.0, (num_steps - step) / max(1, num_steps - num_warmup))

        super().__init__(optimizer, factor)


class Poly(LambdaLR):
    """Down to 0 as a power of what is left (https://arxiv.org/abs/1612.01105, section 5.1).

    torch's PolynomialLR multiplies the last rate by a factor that depends on the run's length, see above.

    Args:
        num_steps: optimiser steps of the whole run.
        power: 1 falls linearly; the paper's is 0.9.

    Raises:
        ValueError: the power is negative.
    """

    def __init__(self, optimizer: Optimizer, *, num_steps: int, power: float) -> None:
        if power < 0:
            raise ValueError(f"scheduler.power={power} would raise the rate without bound; choose 0 or more")
        super().__init__(optimizer, lambda step: max(0.0, 1 - step / num_steps) ** power)
