"""PSPNet's training, metrics and options, on random images."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from datamodules.batches import VOID, SegmentationBatch, SizedImageBatch
from lightning_modules.pspnet.backbone import DilatedResNet
from lightning_modules.pspnet.mask_pictures import restore_mask
from lightning_modules.pspnet.module import PSPNetSegmenter

PLACE = "lightning_modules.pspnet.losses"
OPTIONS: dict[str, Any] = {
    "num_classes": 4,
    "blocks": [1, 1, 1, 1],
    "stem": "deep",
    "width": 0.0625,
    "bins": [1, 2],
    "dropout": 0.0,
    "backbone_weights": None,
    "loss": {"_target_": f"{PLACE}.CrossEntropy"},
    "auxiliary_weight": 0.4,
    "head_rate_factor": 10.0,
    "test_scales": [1.0],
    "test_mirror": False,
    "test_window": None,
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.01},
    "scheduler": {"_target_": "lightning_modules.schedules.Poly", "power": 0.9},
}


def _model(**options: Any) -> PSPNetSegmenter:
    torch.manual_seed(0)
    return PSPNetSegmenter(**{**OPTIONS, **options})


def _batch(*, seed: int = 0) -> SegmentationBatch:
    """Two images and masks with void pixels."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(4, (2, 17, 25), generator=generator)
    mask[:, :3] = VOID
    return SegmentationBatch(torch.randn(2, 3, 17, 25, generator=generator), mask)


def _trainer(tmp_path: Path, **options: Any) -> pl.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return pl.Trainer(accelerator="cpu", devices=1, logger=False, default_root_dir=tmp_path, **quiet, **options)


def _loader(batches: list[SegmentationBatch]) -> DataLoader[SegmentationBatch]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def _scores_by_a_loop(predicted: list[Tensor], masks: list[Tensor], *, num_classes: int) -> dict[str, float]:
    """Pixel by pixel, over all batches together."""
    shared, covered = [0] * num_classes, [0] * num_classes
    right = counted = 0
    for guess, truth in zip(torch.cat(predicted).flatten().tolist(), torch.cat(masks).flatten().tolist(), strict=True):
        if truth == VOID:
            continue
        counted += 1
        right += guess == truth
        for label in {guess, truth}:
            covered[label] += 1
            shared[label] += guess == truth
    ious = [part / whole for part, whole in zip(shared, covered, strict=True) if whole > 0]
    return {"miou": sum(ious) / len(ious), "pixel_accuracy": right / counted}


def test_test_metrics_are_those_of_a_literal_loop_over_pixels(tmp_path: Path) -> None:
    model = _model()
    batches = [_batch(seed=seed) for seed in range(3)]
    # A class that neither occurs nor is predicted does not count; one that is only predicted does.
    model.network.head[-1].bias.data[3] = -100.0  # type: ignore[union-attr, operator, index]
    batches = [SegmentationBatch(image, mask.where((mask != 3) & (mask != 2), 0)) for image, mask in batches]
    batches = [
        SegmentationBatch(b.image, b.mask.where(_batch(seed=s).mask != VOID, VOID)) for s, b in enumerate(batches)
    ]
    (found,) = _trainer(tmp_path).test(model, dataloaders=_loader(batches), verbose=False)
    model.eval()
    with torch.no_grad():
        predicted = [model(batch.image).argmax(dim=1) for batch in batches]
    expected = _scores_by_a_loop(predicted, [batch.mask for batch in batches], num_classes=4)
    assert {name: found[f"test/{name}"] for name in expected} == pytest.approx(expected)
    with torch.no_grad():
        losses = [float(F.cross_entropy(model(b.image), b.mask, ignore_index=VOID)) for b in batches]
    assert found["test/loss"] == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_the_scores_of_two_processes_together_are_those_of_all_their_pixels() -> None:
    whole, first, second = (_model().metrics._of("val")[0] for _ in range(3))
    for process, seeds in ((first, (0, 1)), (second, (2,))):
        for seed in seeds:
            predicted, mask = torch.randint(4, (2, 17, 25)), _batch(seed=seed).mask
            process.update(predicted, mask)
            whole.update(predicted, mask)
    # Neither the mean over processes of the mean over classes, nor that of the parts of pixels that are right.
    assert (first.compute()["val/miou"] + second.compute()["val/miou"]) / 2 != whole.compute()["val/miou"]
    expected = whole.compute()
    for name in first:
        others = iter([getattr(second[name], state) for state in first[name]._reductions])
        first[name]._sync_dist(lambda state, group=None, others=others: [state, next(others)])
        first[name]._computed = None
        torch.testing.assert_close(first[name].compute(), expected[name])


def test_the_loss_in_training_is_the_main_one_and_four_tenths_of_the_auxiliary_one() -> None:
    model = _model()
    batch = _batch()
    logits = model.network(batch.image)
    losses = [F.cross_entropy(scores, batch.mask, ignore_index=VOID) for scores in logits]
    torch.testing.assert_close(model._step(batch, "train"), losses[0] + 0.4 * losses[1])


@pytest.mark.parametrize("loss", ["CrossEntropy", "Focal", "Dice", "Lovasz"])
def test_a_batch_of_void_changes_no_weight_and_no_score(loss: str, tmp_path: Path) -> None:
    gamma = {"gamma": 2.0} if loss == "Focal" else {}
    model = _model(loss={"_target_": f"{PLACE}.{loss}", **gamma})
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    image, mask = _batch()
    void = SegmentationBatch(image, torch.full_like(mask, VOID))
    trainer = _trainer(tmp_path, max_epochs=1)
    trainer.fit(model, train_dataloaders=_loader([void]))
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    with_void = _trainer(tmp_path).test(model, dataloaders=_loader([_batch(), void]), verbose=False)[0]
    without = _trainer(tmp_path).test(model, dataloaders=_loader([_batch()]), verbose=False)[0]
    for name in ("test/miou", "test/pixel_accuracy"):
        assert with_void[name] == without[name]


def test_the_heads_rate_is_ten_times_the_backbones_down_to_the_end(tmp_path: Path) -> None:
    rates: list[dict[str, float]] = []

    class Note(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
            rates.append({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})

    model = _model()
    _trainer(tmp_path, max_epochs=2, callbacks=[Note()]).fit(model, train_dataloaders=_loader([_batch()] * 2))
    factors = [(1 - step / 4) ** 0.9 for step in range(4)]
    assert [rate["backbone"] for rate in rates] == pytest.approx([0.01 * factor for factor in factors])
    assert [rate["head"] for rate in rates] == pytest.approx([0.1 * factor for factor in factors])


def test_an_optimiser_holds_every_parameter_once(tmp_path: Path) -> None:
    model = _model()
    trainer = _trainer(tmp_path, max_epochs=1)
    trainer.fit(model, train_dataloaders=_loader([_batch()]))
    held = [id(parameter) for group in trainer.optimizers[0].param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())


def test_a_run_starts_from_the_backbones_weights_and_a_restored_one_needs_no_file(tmp_path: Path) -> None:
    expected = DilatedResNet(blocks=[1, 1, 1, 1], stem="deep", width=0.0625).state_dict()
    file = tmp_path / "backbone.pth"
    torch.save(expected, file)
    model = _model(backbone_weights=str(file), optimizer={"_target_": "torch.optim.SGD", "lr": 0.0})
    report = model.load_pretrained_weights()
    assert report is not None
    assert "backbone.pth: all of the backbone loaded" in report
    trainer = _trainer(tmp_path, max_epochs=1)
    trainer.fit(model, train_dataloaders=_loader([_batch()]))
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    file.unlink()
    restored = PSPNetSegmenter.load_from_checkpoint(tmp_path / "run.ckpt")
    resumed = _trainer(tmp_path, max_epochs=2)
    resumed.fit(restored, train_dataloaders=_loader([_batch()]), ckpt_path=tmp_path / "run.ckpt", weights_only=True)
    assert resumed.global_step == 2
    for name, parameter in restored.network.backbone.named_parameters():
        assert torch.equal(parameter, expected[name]), name


def test_test_and_prediction_take_scales_windows_and_mirrors_and_validation_does_not(tmp_path: Path) -> None:
    plain, several = _model(), _model(test_scales=[1.0, 2.0], test_mirror=True, test_window=17)
    several.load_state_dict(plain.state_dict())
    scores = []
    for model in (plain, several):
        trainer = _trainer(tmp_path)
        loader = _loader([_batch()])
        tested = trainer.test(model, dataloaders=loader, verbose=False)[0]["test/loss"]
        validated = trainer.validate(model, dataloaders=loader, verbose=False)[0]["val/loss"]
        scores.append((tested, validated))
    assert scores[0][0] == pytest.approx(scores[0][1], rel=1e-5)
    assert scores[1][1] == scores[0][1]
    assert scores[1][0] != pytest.approx(scores[0][0], rel=1e-4)


def test_a_prediction_has_the_size_of_the_file() -> None:
    model = _model().eval()
    batch = SizedImageBatch(torch.randn(1, 3, 17, 25), torch.tensor([[34, 50]]))
    with torch.no_grad():
        (prediction,) = model.predict_step(batch, 0)
        expected = model(batch.image).argmax(dim=1)[0]
    assert restore_mask(prediction).shape == (34, 50)
    assert torch.equal(restore_mask(prediction)[::2, ::2], expected)


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model.test_scales=\[0.0\]: give factors above 0"):
        _model(test_scales=[0.0])
    with pytest.raises(ValueError, match=r"choose lightning_modules.pspnet.losses"):
        _model(loss={"_target_": "torch.nn.CrossEntropyLoss"})
    with pytest.raises(ValueError, match=r"model.optimizer has no lr, which head_rate_factor is a multiple of"):
        _model(optimizer={"_target_": "torch.optim.Adadelta"}).configure_optimizers()
