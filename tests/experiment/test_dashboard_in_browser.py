"""The web dashboards as a person meets them, in headless Chromium (Debian: chromium, chromium-driver)."""

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from experiment import training
from experiment.entry import CONF_DIR
from experiment.run_directory import RunDirectory
from tests.conftest import MakeRequest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="there is no chromedriver"),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser"):
        options.add_argument(argument)
    browser = Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
    browser.set_window_size(1600, 1200)
    yield browser
    browser.quit()


def wait_for(browser: Any, script: str, *, timeout_s: float = 60) -> Any:
    """What a script gives once it gives something."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if found := browser.execute_script(f"return {script}"):
            return found
        time.sleep(0.2)
    raise AssertionError(f"nothing came of {script}")


@pytest.fixture
def three_runs(make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    requests = [
        make_request("logger=mlflow", "trainer.max_epochs=4", "trainer.limit_train_batches=2", f"seed={seed}")
        for seed in (1, 2, 3)
    ]
    for request in requests:
        training.run_training(request)
    return [request.run.id for request in requests]


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_lays_the_curves_of_three_runs_over_each_other(
    three_runs: list[str], browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    # MLflow's own default database.
    assert not (tmp_path / "mlflow.db").exists()
    found = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db").search_runs(["1"])
    assert sorted(run.info.run_name for run in found) == sorted(three_runs)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("FIRSTHAND_OUTPUTS", str(tmp_path / "outputs"))
    server = subprocess.Popen(
        ["make", "dashboard-web"], cwd=CONF_DIR.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        page = f"http://127.0.0.1:{port}/"
        _wait_for_server(page)
        ids = ",".join(f"%22{run.info.run_id}%22" for run in found)
        metric = "%22val%2Floss%22"
        browser.get(f"{page}#/metric?runs=[{ids}]&metric={metric}&experiments=[%221%22]&plot_metric_keys=[{metric}]")
        # MLflow draws each curve twice, the second one smoothed.
        traces = wait_for(browser, "document.querySelector('.js-plotly-plot')?.data?.map(t => [t.name, [...t.y]])")
        assert wait_for(browser, "document.querySelectorAll('path.js-line').length") == 2 * len(three_runs)
        assert dict(traces) == {name: _losses(tmp_path / "outputs", name) for name in three_runs}
    finally:
        server.terminate()
        server.wait(timeout=30)


def _losses(outputs: Path, name: str) -> list[float]:
    (directory,) = outputs.glob(f"*/{name}")
    return [row["metrics"]["val/loss"] for row in RunDirectory(directory).metric_rows() if "val/loss" in row["metrics"]]


def _wait_for_server(page: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            with urlopen(page, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{page} did not answer")


def test_the_report_lays_the_curves_of_runs_over_each_other_and_hides_one(
    make_request: MakeRequest, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [
        make_request("logger=none", "trainer.max_epochs=3", "trainer.limit_train_batches=2", f"seed={seed}")
        for seed in (1, 2)
    ]
    for request in requests:
        training.run_training(request)
    report = tmp_path / "report.html"
    names = [request.run.id for request in requests]
    monkeypatch.setenv("FIRSTHAND_OUTPUTS", str(tmp_path / "outputs"))
    command = [sys.executable, "runs.py", "compare", *names, "--html", str(report)]
    subprocess.run(command, cwd=CONF_DIR.parent, check=True, capture_output=True)
    browser.get(report.as_uri())
    of_loss = (
        "[...[...document.querySelectorAll('.js-plotly-plot')].find(p => p.textContent.includes('val/loss'))"
        ".querySelectorAll('path.js-line')]"
    )
    assert wait_for(browser, f"{of_loss}.length") == 2
    browser.execute_script("document.querySelector('input[type=checkbox]').click()")
    assert wait_for(browser, f"{of_loss}.length == 1 && 1") == 1
