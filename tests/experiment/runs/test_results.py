"""The tables of measured results hold what the kept results hold, and nothing else gets in."""

import json
import re
import shutil
import statistics
from pathlib import Path

import pytest

from experiment.entry import CONF_DIR
from experiment.failures import Refused
from experiment.run_directory import RunDirectory
from experiment.runs import results
from experiment.runs.summaries import summary_of
from tests.experiment.runs.past_runs import make_run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    shutil.copy(results.PROJECT / "results" / "experiments.yaml", tmp_path / "results")
    return tmp_path


def finished_run(outputs: Path, metrics: dict[str, float], *, seed: int = 1) -> RunDirectory:
    versions = {"python": "3.11", "torch": "2.14", "torchvision": "0.29", "pytorch-lightning": "2.6"}
    record = {"versions": versions, "ended": "2026-01-02T03:04:17+00:00"}
    return RunDirectory(make_run(outputs, f"run-{seed}", seed=seed, rows=[(20, metrics)], **record))


def kept(run: RunDirectory, project: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(results.add(summary_of(run), project).read_text())
    return content


def test_the_committed_tables_are_those_of_the_committed_results() -> None:
    for name in ("README.md", "README.ko.md", "docs/results.md"):
        written = (results.PROJECT / name).read_text()
        table = results.long_table if name == "docs/results.md" else results.short_table
        assert f"\n{table(results.PROJECT)}\n" in written


def test_a_result_is_a_finished_run_in_short(project: Path, tmp_path: Path) -> None:
    run = finished_run(tmp_path, {"test/accuracy": 0.75, "val/accuracy": 0.8})
    result = kept(run, project)
    assert result["metrics"] == {"test/accuracy": 0.75}
    assert result["command"] == "python train.py experiment=vgg_digits optim.lr=0.01 seed=1"
    assert result["commit"] == run.record()["git"]["sha"]


def test_a_run_that_did_not_finish_is_no_result(project: Path, tmp_path: Path) -> None:
    run = RunDirectory(make_run(tmp_path, "run-1", status="failed"))
    with pytest.raises(Refused, match="only what was run to its end"):
        results.add(summary_of(run), project)
    assert not list((project / "results").glob("*/*"))


def test_seeds_of_one_configuration_are_one_line_with_their_mean_and_deviation(project: Path, tmp_path: Path) -> None:
    values = {1: 0.5, 2: 0.75, 3: 0.875}
    for seed, value in values.items():
        kept(finished_run(tmp_path, {"test/accuracy": value, "test/loss": 1.0}, seed=seed), project)
    (line,) = [line for line in results.short_table(project).splitlines() if "vgg_digits" in line]
    assert f"{statistics.mean(values.values()):.4f} ± {statistics.stdev(values.values()):.4f} (3 seeds)" in line
    assert len([line for line in results.long_table(project).splitlines() if "python train.py" in line]) == 3


def test_an_experiments_file_expects_what_was_measured() -> None:
    compared = 0
    for name, configurations in results.results(results.PROJECT).items():
        expected = re.search(r"^# Expected: (.*)$", (CONF_DIR / f"experiment/{name}.yaml").read_text(), re.MULTILINE)
        assert expected is not None
        for metric, stated in re.findall(r"(test/\w+) (\d\.\d+)", expected[1]):
            measured = statistics.fmean(result["metrics"][metric] for result in configurations[0])
            # As far as it is rounded.
            assert float(stated) == pytest.approx(measured, abs=0.5001 * 10 ** -len(stated.split(".")[1])), name
            compared += 1
    assert compared >= 10
