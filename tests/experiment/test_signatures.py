"""Signatures read from source against those that Python reports, and values against annotations."""

import ast
import inspect

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks, loggers

from experiment.annotations import fits
from experiment.signatures import Scope, find_class, find_module, signature_of
from lightning_modules.vgg.module import VGGClassifier

CLASSES: dict[str, type] = {
    "torch.optim.SGD": torch.optim.SGD,
    "torch.optim.AdamW": torch.optim.AdamW,
    "torch.optim.lr_scheduler.OneCycleLR": torch.optim.lr_scheduler.OneCycleLR,
    "torch.nn.Conv2d": torch.nn.Conv2d,
    "pytorch_lightning.Trainer": pl.Trainer,
    "pytorch_lightning.callbacks.ModelCheckpoint": callbacks.ModelCheckpoint,
    "pytorch_lightning.callbacks.EarlyStopping": callbacks.EarlyStopping,
    "pytorch_lightning.loggers.CSVLogger": loggers.CSVLogger,
    "lightning_modules.vgg.module.VGGClassifier": VGGClassifier,
}


@pytest.mark.parametrize("target", CLASSES)
def test_a_signature_from_source_equals_pythons_own(target: str) -> None:
    source = find_class(target)
    assert source is not None
    expected = [
        (name, parameter.default is inspect.Parameter.empty)
        for name, parameter in inspect.signature(CLASSES[target].__init__).parameters.items()
        if name != "self" and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    ]
    assert [(p.name, p.is_required) for p in signature_of(source).parameters.values()] == expected


def test_keywords_that_a_constructor_passes_on_are_its_parents() -> None:
    source = find_class("tests.experiment.passing_on.Child")
    assert source is not None
    signature = signature_of(source)
    assert [(p.name, p.is_required) for p in signature.parameters.values()] == [("own", True), ("passed", True)]
    assert not signature.is_open


def test_keywords_that_go_elsewhere_may_be_anything() -> None:
    source = find_class("pytorch_lightning.loggers.TensorBoardLogger")
    assert source is not None
    assert signature_of(source).is_open


def test_a_module_that_is_not_there_is_not_found() -> None:
    assert find_module("torch.nn.nothing") is None
    assert find_module("no_such_package") is None


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [1], [1.5, "1", True, None]),
        ("float", [1, 0.5], ["1", True, None]),
        ("bool", [True], [1, "true"]),
        ("str | None", ["a", None], [1]),
        ("Optional[int]", [1, None], ["a"]),
        ("Union[int, str]", [1, "a"], [1.5]),
        ("Literal['min', 'max']", ["min"], ["avg", None]),
        ("list[int]", [[1, 2]], [[1, "a"], 1, {"a": 1}]),
        ("tuple[float, float]", [[0.9, 0.999]], [[0.9], [0.9, "a"]]),
        ("tuple[int, ...]", [[1, 2, 3]], [["a"]]),
        ("dict[str, Any]", [{"a": 1}], [[1], "a"]),
        ("Any", [1, None, "a"], []),
        ("'int | None'", [1, None], ["a"]),
    ],
)
def test_values_fit_an_annotation_or_do_not(annotation: str, good: list[object], bad: list[object]) -> None:
    scope = find_module("typing")
    assert isinstance(scope, Scope)
    expression = ast.parse(annotation, mode="eval").body
    assert all(fits(value, expression, scope) for value in good)
    assert not any(fits(value, expression, scope) for value in bad)


def test_an_alias_is_followed_to_its_meaning() -> None:
    source = find_class("pytorch_lightning.Trainer")
    assert source is not None
    precision = signature_of(source).parameters["precision"]
    assert fits("bf16-mixed", precision.annotation, precision.scope)
    assert not fits("bf17", precision.annotation, precision.scope)
