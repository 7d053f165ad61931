"""The keys of a composed configuration that belong to no class: their names and types, for the preflight."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass
class Settings:
    """conf/train.yaml; the groups (model, data, ...) are checked against the classes they name."""

    seed: int
    objective: str
    objective_mode: Literal["min", "max"]
    search_space: dict[str, str]
    n_trials: int
    sweep: dict[str, Any]
    check: bool
    resume: dict[str, Any]
    fork: dict[str, Any]
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
class ModelOptions:
    """What conf/train.yaml gives every model beside its constructor's parameters."""

    engine: Literal["torch", "scratch"] = "torch"


@dataclass
class Paths:
    """conf/paths."""

    data_dir: str
    outputs_dir: str
    generated_dir: str
    run_dir: str | None


@dataclass
class Resume:
    """The run that goes on: last, auto, an id, a directory, a checkpoint; and what may change of it."""

    run: str | int | None
    allow_changes: list[str]


@dataclass
class Fork:
    """The run from whose state a new one starts, and how much of it: weights only, or all."""

    run: str | int | None
    mode: Literal["weights", "full"]


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
    """conf/predict.yaml; the keys with a default are those of conf/pretrained."""

    run: str | int | None
    inputs: str | None
    samples: int
    output_dir: str | None
    window_s: float | None
    hop_s: float | None
    checkpoint: Literal["best", "last"]
    accelerator: str
    outputs_dir: str
    show_traceback: bool
    model: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    optim: dict[str, Any] | None = None
    scheduler: dict[str, Any] | None = None
    paths: dict[str, Any] | None = None
    seed: int = 0


@dataclass
class NoWorkers:
    """conf/sweep/workers/none.yaml."""

    kind: Literal["none"]


@dataclass
class SubmititWorkers:
    """conf/sweep/workers/slurm.yaml."""

    kind: Literal["submitit"]
    cluster: Literal["slurm", "local"]
    parameters: dict[str, Any]
    host: str | None


@dataclass
class RayWorkers:
    """conf/sweep/workers/ray.yaml."""

    kind: Literal["ray"]
    address: str | None
    parameters: dict[str, Any]
    host: str | None


@dataclass
class GridSweep:
    """conf/sweep/grid.yaml."""

    method: Literal["grid"]
    workers: dict[str, Any]
    slots: int | Literal["auto"]
    timeout_s: float | None
    seeds: int
    resume: str
    retry_failed: bool


@dataclass
class OptunaSweep:
    """conf/sweep/optuna.yaml."""

    method: Literal["optuna"]
    workers: dict[str, Any]
    slots: int | Literal["auto"]
    timeout_s: float | None
    seeds: int
    resume: str
    retry_failed: bool
    sampler: Literal["tpe", "cmaes", "qmc", "random", "grid", "nsga2"]
    seed: int
    num_startup_trials: int
    population_size: int
    pruner: Literal["median", "asha", "hyperband"] | None
    pruner_warmup_epochs: int
    pruner_factor: int
    objectives: dict[str, str] | None
    enqueue: list[str]
    enqueue_default: bool
    storage: str | None
    study_name: str | None
