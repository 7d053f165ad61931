"""The proof that a run can be interrupted notices when it cannot."""

import shutil
from pathlib import Path

import torch

from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.run_directory import RunDirectory
from experiment.verification import differences
from tests.conftest import MakeRequest

SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "data.batch_size=4")


def test_a_run_differs_from_itself_in_nothing_and_from_a_spoilt_copy_in_what_was_spoilt(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(*SHORT, "trainer.limit_test_batches=1")
    training.run_training(request)
    assert differences(request.run, request.run) == []
    copy = RunDirectory(tmp_path / "copy")
    shutil.copytree(request.run.path, copy.path, symlinks=True)
    last = (copy.checkpoints / "last.ckpt").resolve()
    state = load_checkpoint(last)
    name = next(iter(name for name, value in state["state_dict"].items() if value.is_floating_point()))
    state["state_dict"][name].view(-1)[0] += 0.5
    state["lr_schedulers"][0]["last_epoch"] += 1
    torch.save(state, last)
    with (copy.path / "metrics.jsonl").open("a") as ledger:
        ledger.write('{"step": 9, "epoch": 0, "metrics": {}}\n')
    places = differences(copy, request.run)
    assert places[0] == f"state_dict.{name}: largest difference 0.5"
    assert places[1].startswith("lr_schedulers.0.last_epoch: ")
    assert places[2].startswith("metrics: ")
    assert len(places) == 3
