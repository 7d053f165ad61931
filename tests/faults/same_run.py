"""That a run which was broken off and resumed is the run that was not."""

from experiment.run_directory import RunDirectory
from experiment.verification import differences


def assert_same_run(found: RunDirectory, expected: RunDirectory) -> None:
    """Bit for bit, the choice of the best checkpoint included; and nothing is left lying about."""
    assert differences(found, expected) == []
    assert (found.record()["status"], found.record()["metrics"]) == ("finished", expected.record()["metrics"])
    names = [sorted(file.name for file in run.checkpoints.iterdir()) for run in (found, expected)]
    assert names[0] == names[1]
    assert len({(run.checkpoints / "best.ckpt").resolve().name for run in (found, expected)}) == 1
