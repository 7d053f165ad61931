"""The keys of a composed configuration that belong to no class: their names and types, for the preflight."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass
class Settings:
    """conf/train.yaml; the groups (model, data, ...) are checked against the classes they name."""

    seed: int
    objective: str
    objective_mode: Literal["min", "max"]
    check: bool
    resume: str | int | None
    show_traceback: bool
    compile: bool
    channels_last: bool
    tags: list[str]
    notes: str | None
    paths: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]
    optim: dict[str, Any]
    scheduler: dict[str, Any] | None
    trainer: dict[str, Any]
    callbacks: dict[str, Any] | None
    logger: dict[str, Any] | None


@dataclass
class Paths:
    """conf/paths."""

    data_dir: str
    outputs_dir: str
    run_dir: str | None


@dataclass
class Evaluation:
    """conf/evaluate.yaml."""

    run: str | int
    split: Literal["train", "val", "test"]
    checkpoint: Literal["best", "last"]
    accelerator: str
    outputs_dir: str
    show_traceback: bool


@dataclass
class Prediction:
    """conf/predict.yaml."""

    run: str | int
    inputs: str
    output_dir: str | None
    checkpoint: Literal["best", "last"]
    accelerator: str
    outputs_dir: str
    show_traceback: bool
