"""The names of DeZero ("Deep Learning from Scratch 3", https://github.com/oreilly-japan/deep-learning-from-scratch-3).

A script of the book runs on the engine when `dezero` in its imports becomes `engine.compat.dezero`. Where DeZero
has a bug, this is right; `from engine.compat.dezero.models import MLP` and the like work as in DeZero.
"""

import sys

from engine.compat.dezero import (
    core_simple,
    cuda,
    dataloaders,
    datasets,
    functions,
    inspection,
    layers,
    models,
    optimizers,
    transforms,
    variable,
)
from engine.compat.dezero.dataloaders import DataLoader, SeqDataLoader
from engine.compat.dezero.datasets import Dataset
from engine.compat.dezero.layers import Layer
from engine.compat.dezero.models import Model
from engine.compat.dezero.variable import Function, Parameter, Variable, as_variable
from engine.compat.dezero.variable import as_array_of_numpy as as_array
from engine.config import config as Config
from engine.config import no_grad, test_mode, using_config

utils = inspection
core = variable
# DeZero's names of modules, which say too little for a file of ours.
sys.modules[f"{__name__}.utils"] = inspection
sys.modules[f"{__name__}.core"] = variable

is_simple_core = False

__all__ = [
    "Config",
    "DataLoader",
    "Dataset",
    "Function",
    "Layer",
    "Model",
    "Parameter",
    "SeqDataLoader",
    "Variable",
    "as_array",
    "as_variable",
    "core",
    "core_simple",
    "cuda",
    "dataloaders",
    "datasets",
    "functions",
    "is_simple_core",
    "layers",
    "models",
    "no_grad",
    "optimizers",
    "test_mode",
    "transforms",
    "using_config",
    "utils",
]
