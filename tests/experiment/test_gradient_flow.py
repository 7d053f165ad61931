"""The picture of a run's gradients: the norms are torch's, under both engines, and a resumed run goes on with them."""

import math
from typing import Any

import pytest
import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn

from experiment import training
from experiment.callbacks.gradient_flow import GradientFlow, draw_rows
from tests.conftest import MakeRequest

SHORT = (
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "callbacks.gradient_flow.every_n_steps=1",
)


class _Product(LightningModule):
    """Its loss is 2 · (3 · used), so the gradient of `used` is (6, 6, 6, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Parameter(torch.ones(4))
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD([self.used], lr=0.01)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return 2.0 * (self.used * 3.0).sum()


def _fit(flow: GradientFlow, steps: int) -> None:
    trainer = Trainer(
        max_steps=steps, callbacks=[flow], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(_Product(), torch.utils.data.DataLoader(torch.zeros(50, 1)))


def test_a_norm_is_that_of_the_gradient_and_frozen_parameters_have_none():
    flow = GradientFlow(every_n_steps=2)
    _fit(flow, 5)
    assert flow.rows == {"used": {"steps": 5, "every": 2, "norms": [12.0, 12.0, 12.0]}}


def test_without_a_number_nothing_is_noted_or_kept():
    flow = GradientFlow(every_n_steps=None)
    _fit(flow, 2)
    assert flow.state_dict() == {}


def test_a_long_run_is_looked_at_less_often():
    flow = GradientFlow(every_n_steps=1)
    row = {"steps": 0, "every": 1, "norms": []}
    for step in range(3000):
        if step % row["every"] == 0:
            flow._note(row, float(step))
    assert len(row["norms"]) < 400
    assert row["norms"] == [float(row["every"] * i) for i in range(len(row["norms"]))]


def test_a_number_of_steps_below_one_is_refused():
    with pytest.raises(ValueError, match="every_n_steps=0: 1 or more"):
        GradientFlow(every_n_steps=0)


def test_larger_gradients_are_brighter_and_odd_ones_have_their_colours():
    picture = draw_rows({"a": [1e-3, 1.0], "b": [0.0, math.nan]}, steps=2)
    (dark, bright), (zero, odd) = ([picture.getpixel((x, y)) for x in (310, 590)] for y in (36, 49))
    assert sum(dark) < sum(bright)
    assert (zero, odd) == ((0, 0, 0), (0, 200, 80))


def test_both_engines_show_the_same_flow_in_the_runs_pictures(make_request: MakeRequest):
    norms = []
    for engine in ("torch", "scratch"):
        request = make_request(*SHORT, f"model.engine={engine}", experiment="engine_mlp_digits")
        training.run_training(request)
        (checkpoint, *_) = sorted((request.run.path / "checkpoints").glob("*.ckpt"))
        callbacks = torch.load(checkpoint, weights_only=True)["callbacks"]
        (rows,) = (state["rows"] for name, state in callbacks.items() if name.startswith("GradientFlow"))
        norms.append([norm for row in rows.values() for norm in row["norms"]])
        picture = request.run.path / "pictures" / "train-gradient_flow" / "6" / "0.png"
        assert Image.open(picture).width > 300
    assert len(norms[0]) >= 4 * 3
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
