"""A model and its data brought back from a run's directory, wherever that lies now."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from omegaconf import OmegaConf

from experiment.checkpoints import (
    checkpoint_of,
    half_written,
    last_whole_checkpoint,
    load_checkpoint,
    point,
)
from experiment.contracts import StartsFromWeights
from experiment.failures import Refused, in_one_line
from experiment.run_directory import RunDirectory
from experiment.start import RunRequest
from experiment.targets import instantiate_flat
from lightning_modules.pretrained import LoadingReport


class RestoredRun(NamedTuple):
    """A run's model, weights loaded, and its data module."""

    checkpoint: Path
    model: pl.LightningModule
    data: pl.LightningDataModule


def restore(request: dict[str, Any], run: RunDirectory) -> RestoredRun:
    """What `run=` and `checkpoint=` of evaluate.py and predict.py name.

    The saved configuration is as little trusted as any other, and paths in it are read from today's environment.

    Raises:
        Refused: there is no such run or checkpoint, or the configuration names what it may not.
    """
    named = Path(str(request["run"]))
    file = named if named.suffix == ".ckpt" else checkpoint_of(run, request["checkpoint"])
    checkpoint = load_checkpoint(file, map_location="cpu")
    try:
        settings: Any = OmegaConf.to_container(run.config(), resolve=True)
        data = instantiate_flat(_only_from(settings["data"], "datamodules"))
        model = instantiate_flat(_only_from(settings["model"], "lightning_modules"))
        model.load_state_dict(checkpoint["state_dict"])
        # What training learned from its data, such as a vocabulary; Lightning keeps it under the class's name.
        if learned := checkpoint.get(type(data).__qualname__):
            data.load_state_dict(learned)
    except Refused:
        raise
    except RuntimeError as error:
        # The first line only says that there are errors, the second names one.
        detail = [*str(error).splitlines(), ""][1].strip() or str(error)
        raise Refused(
            f"{file} does not fit the configuration of run {run.id}, perhaps for another number of classes: {detail}"
        ) from error
    except Exception as error:
        raise Refused(f"run {run.id} cannot be restored: {in_one_line(error.__cause__ or error)}") from error
    return RestoredRun(file, model, data)


def _only_from(component: dict[str, Any], package: str) -> dict[str, Any]:
    if not str(component.get("_target_")).startswith(f"{package}."):
        raise Refused(f"_target_={component.get('_target_')} is not allowed here: it must be a class of {package}")
    return component


def build_pretrained(request: dict[str, Any]) -> tuple[pl.LightningModule, pl.LightningDataModule, LoadingReport]:
    """A model and data that reads its files as conf/pretrained describes them, with all of its weights loaded.

    Raises:
        Refused: the description is unsound, or some of the network's weights are missing.
    """
    try:
        data = instantiate_flat(_only_from(request["data"], "datamodules"))
        model = instantiate_flat(_only_from(request["model"], "lightning_modules"))
    except Refused:
        raise
    except Exception as error:
        raise Refused(in_one_line(error.__cause__ or error)) from error
    report = load_pretrained_weights(model)
    missing = ["all"] if report is None else [n for n, _ in model.network.named_parameters() if n in report.untouched]
    if report is None or missing:
        raise Refused(f"model.weights={request['model'].get('weights')} lacks {', '.join(missing)}; without training,"
                      " predictions need every weight: give those of a network for the same classes")  # fmt: skip
    return model, data, report


def load_pretrained_weights(model: pl.LightningModule) -> LoadingReport | None:
    """Have a model start from the weights that its configuration names; what was loaded, None if none are named.

    Raises:
        Refused: there are no such weights, or they are not this network's.
    """
    if not isinstance(model, StartsFromWeights):
        return None
    try:
        return model.load_pretrained_weights()
    except (OSError, ValueError) as error:
        raise Refused(in_one_line(error)) from error


def prepare_data(data: pl.LightningDataModule) -> None:
    """Have the data read, and a first look at its loaders, before anything is written.

    Raises:
        Refused: the data is missing or unsound, or does not fill a batch.
    """
    try:
        data.prepare_data()
        data.setup("fit")
        data.train_dataloader()
        data.val_dataloader()
    except (OSError, ValueError) as error:
        raise Refused(in_one_line(error)) from error


def starting_checkpoint(request: RunRequest, model: pl.LightningModule, *, is_first_process: bool) -> Path | None:
    """The checkpoint from which a run goes on with all that it holds; of a fork by weights, the model gets those here.

    Raises:
        Refused: there is none that can be used, or its weights are another model's.
    """
    if request.source is None:
        return None
    run, named = request.source
    if request.is_resumed:
        return _checkpoint_to_go_on_from(run, named, is_first_process=is_first_process)
    if request.settings["fork"]["mode"] == "full":
        return named or _last_of(run)
    file = named or (run.checkpoints / "best.ckpt" if (run.checkpoints / "best.ckpt").exists() else _last_of(run))
    try:
        model.load_state_dict(load_checkpoint(file, map_location="cpu")["state_dict"])
    except RuntimeError as error:
        raise Refused(f"the weights of {file} are not this model's: {in_one_line(error)}") from error
    return None


def _checkpoint_to_go_on_from(run: RunDirectory, named: Path | None, *, is_first_process: bool) -> Path | None:
    if named is not None:
        load_checkpoint(named, map_location="meta")
        return named
    file, reasons = last_whole_checkpoint(run)
    reasons = [f"the run was killed while it saved {name}" for name in half_written(run).values()] + reasons
    if is_first_process and (reasons or file is None):
        why = "; ".join([*reasons, *(["the run ended before its first checkpoint"] if file is None else [])])
        print(f"{why}; going on from {file.name if file else 'the beginning'}", flush=True)
    return file


def _last_of(run: RunDirectory) -> Path:
    file, _ = last_whole_checkpoint(run)
    if file is None:
        raise Refused(f"run {run.id} has no checkpoint to start from; choose another run")
    return file


def claim_checkpoints(request: RunRequest, checkpoint: Path | None) -> None:
    """Bring the run's folder of checkpoints into the state in which it goes on from one of them.

    What was half-written is removed, and newer ones than the one that it goes on from are of a future that this gives
    up. A run that starts from another's full state gets the best that this state knows of.
    """
    if request.is_resumed:
        for leftover in half_written(request.run):
            leftover.unlink()
        if checkpoint is not None:
            point(request.run.checkpoints / "last.ckpt", checkpoint.name)
        return
    if request.source is None or request.settings["fork"]["mode"] == "weights":
        return
    best = request.source.run.checkpoints / "best.ckpt"
    if best.exists():
        name = best.resolve().name
        shutil.copyfile(best, request.run.checkpoints / name)
        point(request.run.checkpoints / "best.ckpt", name)


def quiet_trainer(request: dict[str, Any]) -> pl.Trainer:
    """A Trainer that writes nothing, on the hardware asked for.

    Raises:
        Refused: this machine does not have that hardware.
    """
    try:
        return pl.Trainer(
            accelerator=request["accelerator"],
            # More would each do the whole.
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except Exception as error:
        raise Refused(in_one_line(error)) from error
