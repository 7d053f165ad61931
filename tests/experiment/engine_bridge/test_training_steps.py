"""What Lightning does around a step works as it does under torch: one engine's run is the other's."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from experiment import training
from experiment.engine_bridge.training_steps import train_from_scratch
from experiment.entry import CONF_DIR
from experiment.failures import RunInterrupted
from experiment.run_directory import RunDirectory, find_run
from tests.conftest import MakeRequest
from tests.interruptions import build_interrupted_at

SHORT = (
    # Adam would make steps of the rounding errors where a gradient is zero, as of a bias before batch normalisation.
    "optim=sgd",
    "data.batch_size=8",
    "trainer.precision=64-true",
    "trainer.log_every_n_steps=1",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
)


def _assert_same_metrics(ours: RunDirectory, theirs: RunDirectory, *, tolerance: float = 1e-9) -> None:
    our_rows, their_rows = ours.metric_rows(), theirs.metric_rows()
    assert sum("train/loss_step" in row["metrics"] for row in our_rows) >= 4
    assert len(our_rows) == len(their_rows)
    for our, their in zip(our_rows, their_rows, strict=True):
        assert our["metrics"] == pytest.approx(their["metrics"], rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(
    "option", ["trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.1", "channels_last=true"]
)
def test_an_option_of_training_has_the_same_effect(option: str, make_request: MakeRequest) -> None:
    runs = {}
    for engine in ("torch", "scratch"):
        request = make_request(*SHORT, option, f"model.engine={engine}")
        training.run_training(request)
        runs[engine] = request.run
    _assert_same_metrics(runs["scratch"], runs["torch"])


def test_a_moving_mean_of_the_weights_is_the_same(make_request: MakeRequest) -> None:
    mean = "callbacks.averaged_weights.decay=0.9"
    runs = []
    for words in ([mean, "model.engine=scratch"], [mean, "model.engine=torch"], ["model.engine=torch"]):
        request = make_request(*SHORT, *words)
        training.run_training(request)
        runs.append(request.run)
    _assert_same_metrics(runs[0], runs[1])
    validated = [
        [r["metrics"]["val/loss"] for r in run.metric_rows() if "val/loss" in r["metrics"]] for run in runs[1:]
    ]
    assert validated[0] != pytest.approx(validated[1])


def test_in_mixed_precision_the_engines_differ_by_what_rounding_makes(make_request: MakeRequest) -> None:
    runs = {}
    for engine, precision in (("torch", "32-true"), ("torch", "bf16-mixed"), ("scratch", "bf16-mixed")):
        request = make_request(
            *SHORT, f"trainer.precision={precision}", "trainer.max_epochs=1", f"model.engine={engine}"
        )
        training.run_training(request)
        runs[engine, precision] = [
            row["metrics"]["train/loss_step"]
            for row in request.run.metric_rows()
            if "train/loss_step" in row["metrics"]
        ]
    exact, theirs, ours = (torch.tensor(losses) for losses in runs.values())
    assert not torch.equal(ours, exact)
    assert (ours - exact).abs().max() < 2 * (theirs - exact).abs().max()


def test_a_checkpoint_of_one_engine_goes_on_under_the_other(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {}
    for first, then in (("torch", "torch"), ("scratch", "torch"), ("torch", "scratch")):
        request = make_request(*SHORT, f"model.engine={first}")
        with monkeypatch.context() as patched:
            patched.setattr(training, "_build", build_interrupted_at(5))
            with pytest.raises(RunInterrupted):
                training.run_training(request)
        resumed = make_request(resumed=request.run)
        resumed.settings["model"]["engine"] = then
        training.run_training(resumed)
        runs[first, then] = request.run
    _assert_same_metrics(runs["scratch", "torch"], runs["torch", "torch"])
    _assert_same_metrics(runs["torch", "scratch"], runs["torch", "torch"])


class TwoPlayers(pl.LightningModule):
    """Manual optimisation, as a GAN has it: one player is frozen while the other learns, and a graph serves twice."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        torch.manual_seed(0)
        self.maker, self.judge = (
            nn.Linear(3, 4).double(),
            nn.Sequential(nn.Linear(4, 5), nn.ELU(), nn.Linear(5, 1)).double(),
        )
        self.losses: list[Tensor] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        (noise,) = batch
        making, judging = self.optimizers()  # type: ignore[misc, attr-defined]
        self.toggle_optimizer(judging)
        fake = self.maker(noise)
        loss = self.judge(fake.detach()).square().mean() - self.judge(noise.repeat(1, 2)[:, :4]).mean()
        judging.zero_grad()
        self.manual_backward(loss)
        judging.step()
        self.untoggle_optimizer(judging)
        self.toggle_optimizer(making)
        score = -self.judge(self.maker(noise)).mean()
        making.zero_grad()
        self.manual_backward(score, retain_graph=True)
        self.manual_backward(score)
        making.step()
        self.untoggle_optimizer(making)
        self.losses += [loss.detach(), score.detach()]

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.maker, self.judge)]


def test_manual_optimisation_is_the_same() -> None:
    noise = DataLoader(TensorDataset(torch.randn(12, 3, dtype=torch.float64)), batch_size=4)
    models = []
    for engine in ("torch", "scratch"):
        model = TwoPlayers()
        if engine == "scratch":
            train_from_scratch(model)
        pl.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(model, noise)  # fmt: skip
        models.append(model)
    torch.testing.assert_close(models[1].losses, models[0].losses, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(models[1].state_dict(), models[0].state_dict(), rtol=1e-12, atol=1e-12)
    assert len(models[0].losses) == 2 * 3 * 2
    assert all(math.isfinite(float(loss)) for loss in models[0].losses)


@pytest.mark.slow
def test_two_processes_train_as_under_torch(tmp_path: Path) -> None:
    runs = []
    for engine in ("torch", "scratch"):
        outputs = tmp_path / engine
        words = ["logger=none", "callbacks.progress_bar=null", *SHORT, "trainer=ddp_cpu", f"model.engine={engine}"]
        subprocess.run(
            [sys.executable, str(CONF_DIR.parent / "train.py"), *words, f"paths.outputs_dir={outputs}"], check=True
        )
        runs.append(find_run("last", outputs))
    _assert_same_metrics(runs[1], runs[0])
