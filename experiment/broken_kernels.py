"""Calculations that torch gets wrong on some machine: refused, for nothing else would tell."""

import pytorch_lightning as pl
import torch
from torch import nn

from experiment.failures import Refused


def refuse_broken_kernels(trainer: pl.Trainer, model: nn.Module) -> None:
    """Refuse a run whose gradients would be wrong.

    3D convolutions in bfloat16 on a CPU: where a kernel reaches over both ends of the clip (3 frames wide, stride 1,
    2 frames), torch 2.14.1 with oneDNN 3.12.0 returns weight gradients from memory that was never written, at times
    1e36, on a processor with AVX-512 BF16. A kernel of 7 frames ended the process. The same sizes are right in 2D, in
    float32, and with oneDNN off.

    Raises:
        Refused: this is such a run.
    """
    is_bfloat16 = str(trainer.precision).startswith("bf16")
    is_on_cpu = trainer.strategy.root_device.type == "cpu"
    if is_bfloat16 and is_on_cpu and any(isinstance(module, nn.Conv3d) for module in model.modules()):
        raise Refused(
            f"trainer.precision={trainer.precision}: on a CPU torch {torch.__version__} can return wrong gradients of"
            " 3D convolutions in bfloat16; choose trainer.precision=32-true, or a GPU"
        )
