"""A model and its data brought back from a run's directory, wherever that lies now."""

from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from omegaconf import OmegaConf

from experiment.checkpoints import checkpoint_of, load_checkpoint
from experiment.failures import Refused, in_one_line
from experiment.run_directory import RunDirectory
from experiment.targets import instantiate_flat


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
    state = load_checkpoint(file, map_location="cpu")["state_dict"]
    try:
        settings: Any = OmegaConf.to_container(run.config(), resolve=True)
        data = instantiate_flat(_only_from(settings["data"], "datamodules"))
        model = instantiate_flat(_only_from(settings["model"], "lightning_modules"))
        model.load_state_dict(state)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"run {run.id} cannot be restored: {in_one_line(error.__cause__ or error)}") from error
    return RestoredRun(file, model, data)


def _only_from(component: dict[str, Any], package: str) -> dict[str, Any]:
    if not str(component.get("_target_")).startswith(f"{package}."):
        raise Refused(f"_target_={component.get('_target_')} is not allowed here: it must be a class of {package}")
    return component


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
