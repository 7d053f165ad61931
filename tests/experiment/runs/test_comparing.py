"""Differences, curves, ranks, means, and the page that shows them."""

import csv
import io
import json
import re
import statistics
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiment.runs.comparison import MOST_POINTS, compare
from experiment.runs.curves import Point, read_curves
from experiment.runs.report_page import static_report
from experiment.runs.serving import make_server
from experiment.runs.summaries import select
from experiment.runs.terminal_plot import plot
from tests.experiment.runs.past_runs import make_run

Ask = Callable[..., str]


def test_a_difference_names_every_changed_key_once(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "a", lr=0.1, seed=1, rows=[(1, {"val/loss": 1.0})])
    make_run(outputs, "b", lr=0.2, seed=2, versions={"python": "3.12.1", "torch": "2.14.1"})
    found = json.loads(ask("diff", "a", "b", "--json"))
    # data.seed and model.optimizer point to what is listed.
    assert found["configuration"] == {"seed": [1, 2], "optim.lr": [0.1, 0.2]}
    assert found["versions"] == {"python": ["3.11.7", "3.12.1"]}
    assert found["metrics"] == {"val/loss": [1.0, None]}
    assert found["data"] == found["code"] == found["hardware"] == {}


def test_a_difference_shows_how_uncommitted_changes_differ(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "a")
    (make_run(outputs, "b") / "diff.patch").write_text("-old line\n+new line\n")
    assert "+new line" in ask("diff", "a", "b")


def test_a_curve_replaces_what_a_resumed_run_logged_again(outputs: Path) -> None:
    folder = make_run(outputs, "a", rows=[(1, {"x": 1.0}), (2, {"x": 2.0}), (3, {"x": 3.0})])
    with (folder / "metrics.jsonl").open("a") as ledger:
        ledger.write('{"step": 4, "metr\n{"resumed_at_step": 2}\n')
        ledger.write('{"step": 2, "epoch": null, "metrics": {"x": 20.0}}\n{"step": 3, "epo')
    expected = {"x": [Point(1, 0, 1.0), Point(2, None, 20.0)]}
    assert read_curves(folder) == expected
    assert read_curves(folder, only="x") == expected
    assert read_curves(folder, only="y") == {}


def test_the_best_run_is_that_with_the_best_epoch(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "late", rows=[(1, {"val/accuracy": 0.2}), (2, {"val/accuracy": 0.8})])
    make_run(outputs, "early", rows=[(1, {"val/accuracy": 0.9}), (2, {"val/accuracy": float("nan")})])
    make_run(outputs, "never")
    ranked = json.loads(ask("best", "val/accuracy", "--json"))
    assert [(run["id"], run["best"]["value"], run["best"]["step"]) for run in ranked] == [
        ("early", 0.9, 1),
        ("late", 0.8, 2),
    ]
    assert "none of 3 runs logged val/f1; there are: val/accuracy" in ask("best", "val/f1")


def test_a_smaller_loss_is_better_and_an_unknown_metric_must_be_told(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "a", rows=[(1, {"val/loss": 2.0, "val/odd": 1.0})])
    make_run(outputs, "b", rows=[(1, {"val/loss": 1.0, "val/odd": 2.0})])
    assert [run["id"] for run in json.loads(ask("best", "val/loss", "--json"))] == ["b", "a"]
    assert "add --mode max or --mode min" in ask("best", "val/odd")
    assert [run["id"] for run in json.loads(ask("best", "val/odd", "--mode", "max", "--json"))] == ["b", "a"]


def test_runs_that_differ_in_the_seed_alone_are_averaged(outputs: Path, ask: Ask) -> None:
    values = [0.5, 0.7, 0.9]
    for seed, value in enumerate(values):
        make_run(outputs, f"s{seed}", seed=seed, rows=[(1, {"test/accuracy": value})])
    make_run(outputs, "other", lr=0.5, rows=[(1, {"test/accuracy": 0.1})])
    make_run(outputs, "broken", status="failed", rows=[(1, {"test/accuracy": 0.0})])
    single, group = json.loads(ask("seeds", "--json"))
    spread = group["metrics"]["test/accuracy"]
    assert group["seeds"] == [0, 1, 2]
    assert spread["mean"] == pytest.approx(statistics.mean(values))
    assert spread["std"] == pytest.approx(statistics.stdev(values))
    assert single["metrics"]["test/accuracy"]["std"] is None
    assert "0.7000 ± 0.2000" in ask("seeds")


def test_an_export_gives_every_value_back(outputs: Path, ask: Ask, tmp_path: Path) -> None:
    make_run(outputs, "a", notes='a "quoted", note', rows=[(1, {"val/loss": 2.0}), (2, {"val/loss": 1.0})])
    (row,) = csv.DictReader(io.StringIO(ask("export")))
    assert (row["id"], row["metrics.val/loss"], row["config.optim.lr"]) == ("a", "1.0", "0.01")
    assert row["notes"] == 'a "quoted", note'
    assert "2 rows" in ask("export", "--history", "--output", str(tmp_path / "h.json"))
    history = json.loads((tmp_path / "h.json").read_text())
    assert [(entry["step"], entry["value"]) for entry in history] == [(1, 2.0), (2, 1.0)]


def test_a_comparison_lists_differing_keys_apart_from_shared_ones(outputs: Path) -> None:
    make_run(outputs, "a", lr=0.1, rows=[(1, {"val/loss": float("nan")})])
    make_run(outputs, "b", lr=0.2)
    found = compare(select([]))
    assert found["config"]["differing"] == {"optim.lr": [0.1, 0.2]}
    assert found["config"]["same"]["model.depth"] == 11
    assert found["curves"]["val/loss"][0]["value"] == [None]
    # A browser refuses NaN.
    json.dumps(found, allow_nan=False)


def test_a_long_curve_is_thinned_and_keeps_its_ends(outputs: Path) -> None:
    make_run(outputs, "a", rows=[(step, {"x": float(step)}) for step in range(MOST_POINTS * 2 + 2)])
    (curve,) = compare(select([]))["curves"]["x"]
    assert len(curve["step"]) <= MOST_POINTS + 1
    assert (curve["step"][0], curve["step"][-1]) == (0, MOST_POINTS * 2 + 1)


def test_a_report_is_one_file_that_no_text_of_a_run_breaks(outputs: Path) -> None:
    folder = make_run(outputs, "a", tags=["</script><script>alert(1)"], rows=[(1, {"val/loss": 1.0})])
    (folder / "pictures" / "val-pictures" / "10").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "pictures" / "val-pictures" / "10" / "0.png")
    runs = select([])
    page = static_report(compare(runs), runs)
    assert "<script>alert(1)" not in page
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    assert data["runs"][0]["tags"] == ["</script><script>alert(1)"]
    (picture,) = data["pictures"][0]["val-pictures"][0]["pictures"]
    assert picture.startswith("data:image/png;base64,")
    # Nothing is fetched from anywhere.
    assert re.search(r'(?:src|href)="https?:', page.replace(page[page.index("<script>") : found.start()], "")) is None


def test_a_terminal_plot_rises_where_the_curve_rises() -> None:
    lines = plot([[Point(0, 0, 0.0), Point(100, 1, 1.0)]], title="t", width=20, height=4).plain.splitlines()
    columns = [next(i for i, cell in enumerate(line.split("│")[1]) if cell != " ") for line in lines[1:5]]
    assert columns == sorted(columns, reverse=True)
    assert lines[1].startswith("1 │")
    assert "no values" in plot([[Point(0, 0, float("nan"))]], title="t", width=20, height=4).plain


def test_the_dashboard_follows_a_run_and_shows_no_other_file(outputs: Path) -> None:
    folder = make_run(outputs, "a", rows=[(1, {"x": 1.0})])
    server = make_server([], limit=10, port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def get(path: str, **headers: str) -> bytes:
        with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=10) as reply:
            content: bytes = reply.read()
            return content

    try:
        assert json.loads(get("/data.json"))["curves"]["x"][0]["value"] == [1.0]
        with (folder / "metrics.jsonl").open("a") as ledger:
            ledger.write('{"step": 2, "epoch": 0, "metrics": {"x": 2.0}}\n')
        assert json.loads(get("/data.json"))["curves"]["x"][0]["value"] == [1.0, 2.0]
        assert b"Plotly" in get("/")
        for path in ("/pictures/vgg_digits/a/run.json", "/pictures/../../secret.png", "/run.json"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(path)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get("/data.json", Host="elsewhere.example")
    finally:
        server.shutdown()
        server.server_close()


def test_a_removed_run_is_in_the_trash_with_its_recording_and_comes_back(outputs: Path, ask: Ask) -> None:
    folder = make_run(outputs, "20260101-000000-aaaa")
    recording = outputs / "wandb" / "offline-run-20260101_000000-20260101-000000-aaaa"
    recording.mkdir(parents=True)
    make_run(outputs, "20260102-000000-bbbb", status="failed")
    assert "moved 20260101-000000-aaaa" in ask("rm", "20260101")
    assert not folder.exists()
    assert not recording.exists()
    assert [run["id"] for run in select([])] == ["20260102-000000-bbbb"]
    ask("rm", "--restore", "20260101-000000-aaaa")
    assert folder.exists()
    assert recording.exists()
    ask("rm", "status=failed")
    assert [run["id"] for run in select([])] == ["20260101-000000-aaaa"]


def test_a_running_run_is_not_removed(outputs: Path, ask: Ask) -> None:
    folder = make_run(outputs, "a", status="running")
    assert "run a is still running" in ask("rm", "a")
    assert folder.exists()
