"""DeZero's view of the GPU: torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engine.variable import as_array

gpu_enable = torch.cuda.is_available()
cupy = torch


def get_array_module(x: Any) -> Any:
    """The library of an array: torch on the GPU, else numpy."""
    return torch if as_array(x).is_cuda else np


def as_numpy(x: Any) -> Any:
    """The data in numpy."""
    return as_array(np.asarray(x) if np.isscalar(x) else x).numpy(force=True)


def as_cupy(x: Any) -> torch.Tensor:
    """The data on the GPU."""
    if not gpu_enable:
        raise RuntimeError("there is no GPU here; ask cuda.gpu_enable first")
    return as_array(x).cuda()
