"""DeZero's transforms of numpy arrays and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Compose:
    """Transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]] = ()) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image


class Normalize:
    """Subtract a mean and divide by a standard deviation, one for all or one for each channel."""

    def __init__(self, mean: Any = 0, std: Any = 1) -> None:
        self.mean = mean
        self.std = std

    def __call__(self, array: Any) -> Any:
        return (array - self._spread(self.mean, array)) / self._spread(self.std, array)

    @staticmethod
    def _spread(value: Any, array: Any) -> Any:
        return (
            value if np.isscalar(value) else np.asarray(value, dtype=array.dtype).reshape(-1, *(1,) * (array.ndim - 1))
        )


class Flatten:
    """All elements in a row."""

    def __call__(self, array: Any) -> Any:
        return array.reshape(-1)


class AsType:
    """Another dtype."""

    def __init__(self, dtype: Any = np.float32) -> None:
        self.dtype = dtype

    def __call__(self, array: Any) -> Any:
        return array.astype(self.dtype)


ToFloat = AsType


class ToInt(AsType):
    """Whole numbers."""

    def __init__(self, dtype: Any = int) -> None:
        super().__init__(dtype)
