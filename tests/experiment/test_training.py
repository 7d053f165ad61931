"""Whole runs in this process: what they record, and how they fail."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from experiment import training
from experiment.failures import Refused, RunFailed
from lightning_modules.vgg.module import VGGClassifier
from tests.conftest import MakeRequest
from tests.experiment.test_faulty_steps import break_step_two

SHORT = (
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
)


def test_a_run_records_who_what_when_and_with_which_result(make_request: MakeRequest) -> None:
    request = make_request(*SHORT, "tags=[first]", "notes=hello")
    objective = training.run_training(request)
    record = request.run.record()
    assert record["status"] == "finished"
    assert record["id"] == request.run.path.name
    assert (record["seed"], record["num_epochs"], record["global_step"]) == (1, 2, 6)
    assert (record["tags"], record["notes"]) == (["first"], "hello")
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record["data_fingerprint"]
    assert record["wall_time_s"] > 0
    assert {"test/accuracy", "test/loss", "val/accuracy", "train/loss"} <= record["metrics"].keys()
    best = max(row["metrics"]["val/accuracy"] for row in request.run.metric_rows() if "val/accuracy" in row["metrics"])
    assert objective == pytest.approx(best)


def test_the_record_stands_before_the_first_step(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_request(*SHORT)
    seen: list[dict[str, Any]] = []
    step = VGGClassifier.training_step

    def watched(self: VGGClassifier, batch: Any, batch_idx: int) -> Tensor:
        seen.append(request.run.record())
        return step(self, batch, batch_idx)

    monkeypatch.setattr(VGGClassifier, "training_step", watched)
    training.run_training(request)
    assert seen[0]["status"] == "running"
    assert seen[0]["data_fingerprint"]
    assert seen[0]["pid"] == os.getpid()


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(make_request: MakeRequest) -> None:
    curves = []
    for seed in (1, 1, 2):
        request = make_request(*SHORT, f"seed={seed}")
        training.run_training(request)
        curves.append(request.run.metric_rows())
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_a_failure_leaves_its_traceback_in_the_log_and_one_line_for_the_screen(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_step_two(monkeypatch, RuntimeError("something\nodd"))
    request = make_request(*SHORT)
    with pytest.raises(RunFailed, match=r"^RuntimeError: something \(traceback: .*run\.log\)$"):
        training.run_training(request)
    log = request.run.log_file.read_text()
    assert "Traceback (most recent call last)" in log
    assert "in breaking" in log


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full .*; free some space"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"), "the disk is full"),
        (MemoryError(), "with data.batch_size=64 out of memory .*; lower data.batch_size"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "with data.batch_size=64 out of memory .*; lower data.batch_size",
        ),
    ],
)
def test_a_resource_that_ran_out_is_named_with_what_to_do(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str
) -> None:
    break_step_two(monkeypatch, error)
    request = make_request(*SHORT)
    with pytest.raises(RunFailed, match=line):
        training.run_training(request)
    assert request.run.status() == "failed"


def test_what_cannot_be_built_is_refused_and_leaves_no_directory(make_request: MakeRequest) -> None:
    request = make_request("model.depth=12")
    with pytest.raises(Refused, match="depth=12: the paper has VGG-11, 13, 16, 19"):
        training.run_training(request)
    assert not request.run.path.exists()


def test_missing_data_is_refused_and_leaves_no_directory(make_request: MakeRequest, tmp_path: Path) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Name or service not known")

    request = make_request("data=mnist", f"paths.data_dir={tmp_path}", "experiment=vgg_mnist")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("datamodules.mnist.MNIST", no_network)
        with pytest.raises(Refused, match="no MNIST in"):
            training.run_training(request)
    assert not request.run.path.exists()


def test_a_gpu_that_is_not_there_is_refused(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        Refused, match=r"trainer.accelerator=gpu, but torch sees no GPU on this machine; try trainer=cpu"
    ):
        training.run_training(make_request("trainer=gpu"))


def test_an_objective_that_is_not_logged_names_those_that_are(make_request: MakeRequest) -> None:
    off = ("callbacks.checkpoints=null", "callbacks.early_stopping=null")
    with pytest.raises(RunFailed, match=r"objective=val/f1 was not logged; choose one of .*val/accuracy"):
        training.run_training(make_request(*SHORT, *off, "objective=val/f1"))


def test_a_process_with_another_configuration_is_refused(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTHAND_CONFIG_HASH", "of another configuration")
    with pytest.raises(Refused, match="composed another configuration than the first process"):
        training.run_training(make_request(*SHORT))


def test_a_resumed_run_keeps_its_directory_and_counts_on(make_request: MakeRequest) -> None:
    request = make_request(*SHORT)
    training.run_training(request)
    resumed = make_request(resumed=request.run)
    resumed.settings["trainer"]["max_epochs"] = 4
    training.run_training(resumed)
    record = request.run.record()
    assert (record["num_epochs"], record["global_step"], record["status"]) == (4, 12, "finished")
    assert len(record["resumed"]) == 1
    epochs = [row["epoch"] for row in request.run.metric_rows() if "val/accuracy" in row["metrics"]]
    assert epochs == [0, 1, 2, 3]


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before_aloud(
    make_request: MakeRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    request = make_request(*SHORT)
    training.run_training(request)
    rows = request.run.metric_rows()
    last = request.run.checkpoints / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    training.run_training(make_request(resumed=request.run))
    said = capsys.readouterr().out
    assert "is not a checkpoint of plain data, or is cut off" in said
    assert "going on from epoch=0001-step=000003-val_accuracy" in said
    assert request.run.status() == "finished"
    assert request.run.metric_rows() == rows


def test_a_run_without_a_usable_checkpoint_cannot_be_resumed(make_request: MakeRequest) -> None:
    request = make_request(*SHORT)
    training.run_training(request)
    for checkpoint in request.run.checkpoints.glob("epoch=*.ckpt"):
        checkpoint.write_bytes(b"")
    with pytest.raises(Refused, match=r"step=000006.* is cut off.*; .*step=000003.* is cut off"):
        training.run_training(make_request(resumed=request.run))
    assert request.run.status() == "finished"


def test_a_run_that_saved_nothing_is_resumed_from_its_beginning(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_request(*SHORT)
    training.run_training(whole)
    broken = make_request(*SHORT)
    with monkeypatch.context() as patched:
        patched.setattr(VGGClassifier, "training_step", lambda *_: 1 / 0)
        with pytest.raises(RunFailed, match="ZeroDivisionError"):
            training.run_training(broken)
    training.run_training(make_request(resumed=broken.run))
    assert "the run ended before its first checkpoint; going on from the beginning" in capsys.readouterr().out
    assert broken.run.metric_rows() == whole.run.metric_rows()


@pytest.mark.parametrize(
    "option",
    [
        "trainer.precision=bf16-mixed",
        "channels_last=true",
        "trainer.accumulate_grad_batches=2",
        "trainer.gradient_clip_val=1.0",
    ],
)
def test_an_option_of_training_takes_effect(make_request: MakeRequest, option: str) -> None:
    plain, changed = make_request(*SHORT), make_request(*SHORT, option)
    training.run_training(plain)
    training.run_training(changed)
    losses = [request.run.last_metrics()["train/loss"] for request in (plain, changed)]
    assert losses[0] != losses[1]


def test_the_ledger_is_lines_of_json_with_step_and_epoch(make_request: MakeRequest) -> None:
    request = make_request(*SHORT)
    training.run_training(request)
    rows = [json.loads(line) for line in (request.run.path / "metrics.jsonl").read_text().splitlines()]
    assert all(row.keys() == {"step", "epoch", "metrics"} for row in rows)
    assert [row["step"] for row in rows if "val/loss" in row["metrics"]] == [2, 5]
