"""Weights to a file and back: numpy's npz, one array for each name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from engine.layers import Layer
from engine.variable import Array, Parameter, as_array


def save_weights(layer: Layer, path: str | Path) -> None:
    """Write every parameter and array; the file appears whole or not at all."""
    path = Path(path)
    arrays = {}
    for name, thing in layer.named_arrays():
        if isinstance(thing, Parameter) and thing.is_lazy:
            raise ValueError(f"{name} has no values yet; run the layer on one input before saving it")
        arrays[name] = as_array(thing).cpu().numpy()
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_weights(layer: Layer, path: str | Path) -> None:
    """Read what `save_weights` wrote into a layer of the same structure; nothing changes unless everything fits."""
    with np.load(path, allow_pickle=False) as file:
        stored = {name: as_array(file[name]) for name in file.files}
    things = dict(layer.named_arrays())
    if stored.keys() != things.keys():
        raise ValueError(
            f"{path} does not fit {type(layer).__name__}: missing {sorted(things.keys() - stored.keys())},"
            f" unexpected {sorted(stored.keys() - things.keys())}"
        )
    for name, thing in things.items():
        is_lazy = isinstance(thing, Parameter) and thing.is_lazy
        if not is_lazy and thing.shape != stored[name].shape:
            raise ValueError(f"{name} has shape {tuple(thing.shape)}, in {path} {tuple(stored[name].shape)}")
    for name, thing in things.items():
        if isinstance(thing, Parameter) and thing.is_lazy:
            thing.initialise(stored[name])
        else:
            array: Array = as_array(thing)
            array.copy_(stored[name])
