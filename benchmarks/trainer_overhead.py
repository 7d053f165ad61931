"""What a training step costs in our Trainer beyond a plain PyTorch loop over the same network and batches."""

import io
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from benchmarks.measuring import Figure, compare
from datamodules.batches import ImageClassificationBatch
from experiment.callbacks.step_randomness import StepRandomness
from experiment.checkpoint_writing import AtomicCheckpointIO
from experiment.entry import CONF_DIR
from experiment.ledger import Ledger
from experiment.quietness import quieten_libraries
from experiment.targets import instantiate
from lightning_modules.split_metrics import SplitMetrics, log_step

NUM_CLASSES = 10
ROUNDS = 9
# Steps that are not counted: the first ones meet cold caches and lazy imports.
WARM_UP = 5
# Hidden widths of a multi-layer perceptron and batch sizes whose steps take about 13 and 60 ms on one core.
SIZES = {"13 ms step": ((3072, 1024, 512), 64, 60), "60 ms step": ((3072, 2048, 1024), 128, 25)}


class ReadyBatches:
    """The same batch again and again: loading costs nothing."""

    def __init__(self, features: int, *, batch_size: int, num_batches: int) -> None:
        generator = torch.Generator().manual_seed(0)
        image = torch.randn(batch_size, features, 1, 1, generator=generator)
        self.batch = ImageClassificationBatch(image, torch.randint(NUM_CLASSES, (batch_size,), generator=generator))
        self.num_batches = num_batches

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[ImageClassificationBatch]:
        return iter([self.batch] * self.num_batches)


def network(widths: tuple[int, ...]) -> nn.Sequential:
    """A multi-layer perceptron."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], NUM_CLASSES))


class Ours(pl.LightningModule):
    """Logs as the project's models do."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network(widths)
        accuracy = MulticlassAccuracy(NUM_CLASSES, average="micro", validate_args=False)
        self.metrics = SplitMetrics(MetricCollection({"accuracy": accuracy}))
        self.seconds_per_step = 0.0

    def training_step(self, batch: ImageClassificationBatch, batch_idx: int) -> Tensor:
        logits = self.network(batch.image)
        loss = F.cross_entropy(logits, batch.label)
        self.metrics.update("train", logits, batch.label, loss=loss)
        log_step(self, "train/loss_step", loss)
        return loss

    def on_train_batch_start(self, batch: ImageClassificationBatch, batch_idx: int) -> None:
        if batch_idx == WARM_UP:
            self._started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        self.note_seconds_per_step()
        self.metrics.log_epoch(self, "train")

    def note_seconds_per_step(self) -> None:
        """Of the steps after the warm-up."""
        num_steps = int(self.trainer.num_training_batches) - WARM_UP
        self.seconds_per_step = (time.perf_counter() - self._started) / num_steps

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Usual(Ours):
    """Logs as the usual template does: loss and metric at every step."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__(widths)
        self.accuracy = MulticlassAccuracy(NUM_CLASSES)

    def training_step(self, batch: ImageClassificationBatch, batch_idx: int) -> Tensor:
        logits = self.network(batch.image)
        loss = F.cross_entropy(logits, batch.label)
        self.accuracy(logits, batch.label)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/accuracy", self.accuracy, prog_bar=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.note_seconds_per_step()


def plain_loop(widths: tuple[int, ...], batches: ReadyBatches) -> float:
    """Seconds a step of what one would write by hand."""
    model = network(widths)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step, (image, label) in enumerate(batches):
        if step == WARM_UP:
            started = time.perf_counter()
        loss = F.cross_entropy(model(image), label)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return (time.perf_counter() - started) / (len(batches) - WARM_UP)


def our_trainer(widths: tuple[int, ...], batches: ReadyBatches, folder: Path) -> float:
    """Seconds a step with the default callbacks, ledger and checkpoints."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        config = hydra.compose("train", ["callbacks.early_stopping=null", "callbacks.checkpoints.monitor=null"])
    OmegaConf.update(config, "paths.run_dir", str(folder))
    settings: Any = OmegaConf.to_container(config, resolve=True)
    callbacks = [instantiate(entry) for entry in settings["callbacks"].values() if entry is not None]
    model = Ours(widths)
    trainer = instantiate(
        {**settings["trainer"], "max_epochs": 1},
        callbacks=[StepRandomness(seed=1), *callbacks],
        logger=[Ledger(folder)],
        plugins=[AtomicCheckpointIO()],
        # As in a run: Lightning would add a ModelCheckpoint of its own.
        enable_checkpointing=False,
    )
    trainer.fit(model, train_dataloaders=batches)
    return model.seconds_per_step


def usual_trainer(widths: tuple[int, ...], batches: ReadyBatches, folder: Path) -> float:
    """Seconds a step with Lightning as it is usually set up."""
    model = Usual(widths)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=CSVLogger(folder),
        callbacks=[TQDMProgressBar(), ModelCheckpoint(folder, save_last=True)],
        enable_model_summary=False,
    )
    trainer.fit(model, train_dataloaders=batches)
    return model.seconds_per_step


def measure() -> dict[str, list[Figure]]:
    """Seconds a step, by size of the step."""
    quieten_libraries()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    figures = {}
    # Progress bars draw all the same, where nobody sees them.
    nowhere = io.StringIO()
    with tempfile.TemporaryDirectory() as temporary, redirect_stdout(nowhere), redirect_stderr(nowhere):
        folder = Path(temporary)
        for name, (widths, batch_size, num_batches) in SIZES.items():
            batches = ReadyBatches(widths[0], batch_size=batch_size, num_batches=num_batches)
            figures[name] = compare(
                {
                    "plain PyTorch loop": partial(plain_loop, widths, batches),
                    "our Trainer": partial(our_trainer, widths, batches, folder),
                    "Lightning as usual": partial(usual_trainer, widths, batches, folder),
                },
                rounds=ROUNDS,
            )
    return figures
