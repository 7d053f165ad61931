"""Tensors that are views of the same memory: what an operation in place on one of them means for the others."""

import weakref
from typing import Any

import torch
from torch import Tensor

from engine import Value
from engine import functions as F


class SharedMemory:
    """Which living tensors were made as views of each other."""

    def __init__(self) -> None:
        self._tensors: dict[int, list[weakref.ref[Tensor]]] = {}

    def note(self, x: Tensor, views: Tensor | list[Tensor] | tuple[Tensor, ...]) -> None:
        """Remember what an operation returned as views of x."""
        for view in [views] if isinstance(views, Tensor) else views:
            tensors = self._tensors.setdefault(_storage(view), [])
            known = [tensor() for tensor in tensors]
            tensors += [weakref.ref(t) for t in (x, view) if not any(t is k for k in known)]

    def others(self, x: Tensor) -> list[Tensor]:
        """The living tensors that show memory of x, but x itself."""
        address = _storage(x)
        if not address:  # no elements
            return []
        found = [tensor() for tensor in self._tensors.get(address, [])]
        # A tensor that has moved may be filed under an address that is another's now.
        return [t for t in found if t is not None and t is not x and _storage(t) == address]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def renew(tensors: list[Tensor]) -> None:
    """Give tensors a copy of the memory that they share; functions may have saved the old one."""
    fresh: Any = tensors[0].untyped_storage().clone()  # type: ignore[no-untyped-call]
    for tensor in tensors:
        tensor.set_(fresh, tensor.storage_offset(), tensor.shape, tensor.stride())


def with_part(x: Value, x_place: Tensor, part: Value, part_place: Tensor) -> Value:
    """The values of x, but where its memory is also `part_place`'s the values of `part`."""
    length = x_place.untyped_storage().nbytes() // x_place.element_size()
    number = torch.full((length,), -1, device=x_place.device)
    _over(number, part_place).copy_(torch.arange(part_place.numel(), device=number.device).reshape(part_place.shape))
    source = _over(number, x_place)
    return F.where(source >= 0, F.get_item(F.reshape(part, (-1,)), source.clamp(min=0)), x)


def _over(number: Tensor, place: Tensor) -> Tensor:
    return number.as_strided(place.shape, place.stride(), place.storage_offset())
