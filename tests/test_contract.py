"""What holds for every model and every experiment: a new one is covered the moment its configuration exists."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from datamodules.batches import ImageClassificationBatch
from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.contracts import DrawsPredictions, DrawsSamples, HasSampleFiles
from experiment.failures import Refused, RunInterrupted
from experiment.restoring import load_pretrained_weights
from experiment.run_directory import RunDirectory
from experiment.targets import instantiate_flat
from tests.conftest import EXPERIMENTS, MODELS, MakeRequest, compose
from tests.contract_tables import (
    ADVERSARIAL,
    CONVOLVES_CLIPS,
    FULL_SIZE,
    FULL_SIZE_ELSEWHERE,
    NEEDS_REAL_DATA,
    ONE_BATCH_AN_EPOCH,
    PARAMETERS,
    SIZES,
    STEPS_TO_OVERFIT,
    TAKES_MINUTES,
)
from tests.interruptions import build_interrupted_at


def _marks(experiment: str) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.real_data] if experiment in NEEDS_REAL_DATA else []
    return marks + ([pytest.mark.slow] if experiment in TAKES_MINUTES else [])


def _every_experiment_but(left_out: set[str]) -> pytest.MarkDecorator:
    names = [name for name in EXPERIMENTS if name not in FULL_SIZE | FULL_SIZE_ELSEWHERE | left_out]
    return pytest.mark.parametrize("experiment", [pytest.param(name, marks=_marks(name)) for name in names])


every_experiment = _every_experiment_but(set())
SHORT = (
    "trainer.log_every_n_steps=1",
    "trainer.max_epochs=2",
    "trainer.check_val_every_n_epoch=1",
    "trainer.limit_train_batches=5",
    "trainer.limit_val_batches=2",
    "trainer.limit_test_batches=2",
)


class _Parts:
    """A model, its data set up, and a training batch of four samples."""

    def __init__(self, experiment: str) -> None:
        torch.manual_seed(0)
        config = compose(f"experiment={experiment}", "data.batch_size=4")
        self.settings: Any = OmegaConf.to_container(config, resolve=True)
        self.data: pl.LightningDataModule = instantiate_flat(self.settings["data"])
        self.data.prepare_data()
        self.data.setup("fit")
        self.batch: Any = next(iter(self.data.train_dataloader()))
        self.model: pl.LightningModule = instantiate_flat(self.settings["model"])
        load_pretrained_weights(self.model)


@pytest.fixture
def parts(experiment: str) -> _Parts:
    return _Parts(experiment)


def _loss(parts: _Parts) -> Tensor:
    return total(parts.model._step(parts.batch, "train"))  # type: ignore[operator]


def total(loss: Tensor | dict[str, Tensor]) -> Tensor:
    """The loss, or the sum of those of several players."""
    return loss if isinstance(loss, Tensor) else torch.stack(list(loss.values())).sum()


def _without_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0


def _open_gates(model: nn.Module) -> None:
    """SAGAN's attention begins with a factor of 0, through which no gradient comes."""
    for name, parameter in model.named_parameters():
        if name.endswith(".gamma") and parameter.ndim == 0 and parameter.requires_grad:
            nn.init.constant_(parameter, 0.1)


@_every_experiment_but(ADVERSARIAL)
def test_a_model_overfits_one_batch(parts: _Parts, experiment: str) -> None:
    _without_dropout(parts.model)
    optimizer = torch.optim.AdamW(parts.model.parameters(), lr=1e-3)
    first = float(_loss(parts).detach())
    for _ in range(STEPS_TO_OVERFIT.get(experiment, 60)):
        optimizer.zero_grad()
        _loss(parts).backward()
        optimizer.step()
    assert float(_loss(parts).detach()) < 0.05 * first


@every_experiment
def test_a_gradient_reaches_every_trainable_parameter(parts: _Parts) -> None:
    _without_dropout(parts.model)
    _open_gates(parts.model)
    _loss(parts).backward()
    without = [
        name
        for name, parameter in parts.model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.isfinite().all())
    ]
    assert without == []
    # A ReLU or a dead path may stop single ones; none may be cut off as a whole.
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parts.model.parameters() if p.requires_grad)


@every_experiment
def test_samples_do_not_see_each_other_in_evaluation(parts: _Parts) -> None:
    parts.model.eval()
    image = parts.batch[0]
    with torch.no_grad():
        together = tree_leaves(parts.model(image))
        each = [tree_leaves(parts.model(image[row : row + 1])) for row in range(len(image))]
    for outputs, alone in zip(together, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(outputs, torch.cat(alone), atol=1e-4, rtol=1e-4)


@every_experiment
def test_a_state_dict_survives_a_round_trip(parts: _Parts) -> None:
    other = instantiate_flat(parts.settings["model"])
    other.load_state_dict(parts.model.state_dict())
    for ours, theirs in zip(parts.model.eval().parameters(), other.eval().parameters(), strict=True):
        assert torch.equal(ours, theirs)


@every_experiment
def test_an_optimiser_holds_every_trainable_parameter_once(parts: _Parts) -> None:
    parts.model.trainer = SimpleNamespace(estimated_stepping_batches=10)  # type: ignore[assignment]
    built: Any = parts.model.configure_optimizers()
    optimizers = [
        one["optimizer"] if isinstance(one, dict) else one for one in (built if isinstance(built, list) else [built])
    ]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for p in parts.model.parameters() if p.requires_grad)


@pytest.mark.parametrize("model", MODELS)
def test_the_number_of_parameters_is_the_papers(model: str) -> None:
    if model not in PARAMETERS:
        pytest.skip("of a model of one's own no paper tells the number; where one does, add it to PARAMETERS")
    config = compose("~experiment", f"model={model}")
    for name, value in {"num_classes": 1000, "in_channels": 3, **SIZES.get(model, {})}.items():
        if name in config.model:
            config.model[name] = value
    settings: Any = OmegaConf.to_container(config, resolve=True)
    with torch.device("meta"):
        network = instantiate_flat(settings["model"]).network
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[model]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", sorted(FULL_SIZE))
def test_a_full_size_model_takes_an_optimisation_step(experiment: str) -> None:
    settings: Any = OmegaConf.to_container(compose(f"experiment={experiment}"), resolve=True)
    torch.manual_seed(0)
    model = instantiate_flat(settings["model"])
    model.trainer = SimpleNamespace(estimated_stepping_batches=1)
    optimizer = model.configure_optimizers()["optimizer"]
    side = settings["data"]["image_size"]
    before = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
    loss = model._step(ImageClassificationBatch(torch.randn(2, 3, side, side), torch.tensor([0, 1])), "train")
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    for name, parameter in model.network.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name


def final_state(run: RunDirectory) -> dict[str, Any]:
    return load_checkpoint(run.checkpoints / "last.ckpt")


def assert_interruption_changes_nothing(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, *words: str, experiment: str, step: int
) -> RunDirectory:
    """Two runs, one of them interrupted at a step and resumed, to the same bits; returns the other."""
    if experiment in ONE_BATCH_AN_EPOCH:
        words = (*words, "trainer.max_epochs=10")
    whole = make_request(*SHORT, *words, experiment=experiment)
    training.run_training(whole)

    broken = make_request(*SHORT, *words, experiment=experiment)
    with monkeypatch.context() as patched:
        patched.setattr(training, "_build", build_interrupted_at(step))
        with pytest.raises(RunInterrupted, match=f"SIGINT at step {step + 1}: state saved"):
            training.run_training(broken)
    assert broken.run.status() == "interrupted"
    training.run_training(make_request(experiment=experiment, resumed=broken.run))

    expected, found = final_state(whole.run), final_state(broken.run)
    assert found["global_step"] == expected["global_step"] == 10
    for weights in ("state_dict", "weights_of_training"):
        for name, value in expected.get(weights, {}).items():
            assert torch.equal(found[weights][name], value), name
    for ours, theirs in zip(found["optimizer_states"], expected["optimizer_states"], strict=True):
        for index, state in theirs["state"].items():
            for name, value in state.items():
                assert torch.equal(ours["state"][index][name], value), name
    assert broken.run.metric_rows() == whole.run.metric_rows()
    return whole.run


@every_experiment
# In the middle of an epoch, at its last batch, in the second epoch, and at the very end; epochs are of five batches,
# in few experiments of one.
@pytest.mark.parametrize("step", [2, 4, 7, 9])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    experiment: str, step: int, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_interruption_changes_nothing(make_request, monkeypatch, experiment=experiment, step=step)


@every_experiment
@pytest.mark.parametrize(
    ("common", "option", "tolerance"),
    [
        # Of bfloat16's three digits batch norm over four samples leaves less.
        ("trainer.accumulate_grad_batches=2", "trainer.precision=bf16-mixed", 0.1),
        ("trainer.gradient_clip_val=1.0", "channels_last=true", 1e-4),
    ],
)
def test_options_of_training_go_with_every_model(
    experiment: str, common: str, option: str, tolerance: float, make_request: MakeRequest
) -> None:
    if option == "trainer.precision=bf16-mixed" and experiment in CONVOLVES_CLIPS:
        with pytest.raises(Refused, match="wrong gradients of 3D convolutions"):
            training.run_training(make_request(option, experiment=experiment))
        return
    rows = []
    for more in ((), (option,)):
        request = make_request(*SHORT, "trainer.max_epochs=1", common, *more, experiment=experiment)
        training.run_training(request)
        rows.append(request.run.metric_rows())
    plain, changed = rows
    assert {name for row in changed for name in row["metrics"]} == {name for row in plain for name in row["metrics"]}
    # The first of each is of the same weights and batch.
    expected, found = (
        {name: value for row in reversed(of_run) for name, value in row["metrics"].items() if name.endswith("_step")}
        for of_run in rows
    )
    assert expected
    assert found == pytest.approx(expected, rel=tolerance, abs=tolerance / 10)


@every_experiment
def test_a_model_draws_what_it_makes_of_validation_samples(parts: _Parts, tmp_path: Path) -> None:
    model: Any = parts.model.eval()
    if isinstance(model, DrawsSamples):
        # Of a GAN one picture, a grid.
        pictures = model.draw_samples(count=2)
    else:
        assert isinstance(model, DrawsPredictions)
        assert isinstance(parts.data, HasSampleFiles)
        files = parts.data.sample_files("val", count=2, folder=tmp_path)
        with torch.no_grad():
            batches = enumerate(parts.data.files_dataloader(files))
            predictions = [found for index, batch in batches for found in model.predict_step(batch, index)]
        pairs = zip(files, predictions, strict=True)
        pictures = [model.draw(file, prediction, parts.data.class_names) for file, prediction in pairs]
        assert len(pictures) == 2
    assert pictures
    assert all(len(picture.convert("RGB").getcolors(2**24)) > 1 for picture in pictures)


@every_experiment
def test_a_checkpoint_holds_plain_data_and_makes_its_model_without_a_configuration(
    experiment: str, make_request: MakeRequest
) -> None:
    request = make_request(*SHORT, "trainer.max_epochs=1", experiment=experiment)
    training.run_training(request)
    checkpoint = request.run.checkpoints / "best.ckpt"
    torch.load(checkpoint, weights_only=True)
    kind = type(instantiate_flat(request.settings["model"]))
    restored = kind.load_from_checkpoint(checkpoint)
    for name, value in load_checkpoint(checkpoint)["state_dict"].items():
        assert torch.equal(restored.state_dict()[name], value)
