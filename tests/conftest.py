"""What tests share: one thread, outputs in a temporary folder, configurations composed in this process."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported. Two threads on two busy cores made the same run 6 to 20 times slower.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

from experiment.continuing import Source
from experiment.entry import CONF_DIR
from experiment.preflight import Origin, refuse_problems
from experiment.run_directory import RunDirectory, new_run_id
from experiment.start import RunRequest

torch.set_num_threads(1)

EXPERIMENTS = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
MODELS = sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml"))


def compose(*overrides: str) -> DictConfig:
    """The configuration of a command line."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        config = hydra.compose("train", list(overrides))
    OmegaConf.set_struct(config, False)
    config.paths.run_dir = "outputs/experiment/run"
    return config


@pytest.fixture(autouse=True)
def _outputs_in_a_temporary_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTHAND_OUTPUTS", str(tmp_path / "outputs"))
    # Made once for all tests; the processes of pytest-xdist have folders of their own in the same one.
    monkeypatch.setenv("FIRSTHAND_GENERATED", str(tmp_path_factory.getbasetemp().parent / "generated"))


@pytest.fixture(autouse=True)
def _real_data_or_skip(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("real_data") and not os.environ.get("FIRSTHAND_DATA"):
        pytest.skip("FIRSTHAND_DATA names no folder with the genuine samples")


@pytest.fixture
def real_data() -> Path:
    """The folder of genuine samples."""
    return Path(os.environ["FIRSTHAND_DATA"]).absolute()


MakeRequest = Callable[..., RunRequest]


@pytest.fixture
def make_request(tmp_path: Path) -> MakeRequest:
    """A request to train, as `train.py <overrides>` would make it, without tracker and progress bar."""

    def make(*overrides: str, experiment: str = "vgg_digits", resumed: RunDirectory | None = None) -> RunRequest:
        quiet = ["logger=none", "callbacks.progress_bar=null"]
        if resumed is None:
            config = compose(f"experiment={experiment}", *quiet, *overrides)
            run = RunDirectory(tmp_path / "outputs" / experiment / new_run_id(tmp_path / "outputs"))
        else:
            config, run = resumed.config(), resumed
        config.paths.run_dir = str(run.path)
        settings: dict[str, Any] = refuse_problems(config, Origin(CONF_DIR, {}, list(overrides)))
        source = Source(run, None) if resumed is not None else None
        return RunRequest(config, settings, run, experiment, list(overrides), source is not None, source)

    return make
