"""Configurations that would run code, from the command line, a file or a run's saved configuration."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from experiment.checkpoints import DamagedCheckpoint, load_checkpoint
from experiment.failures import Refused
from experiment.hydra_settings import refuse_hydra_settings
from experiment.preflight import check_run
from experiment.restoring import restore
from experiment.run_directory import RunDirectory
from experiment.targets import allowed_class, check_targets, instantiate
from tests.conftest import MakeRequest, compose

FORBIDDEN = [
    "os.system",
    "posix.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.getattr",
    "functools.partial",
    "functools.reduce",
    "hydra.utils.get_object",
    "hydra.utils.instantiate",
    "importlib.import_module",
    "pathlib.Path.touch",
    "pickle.loads",
    "shutil.rmtree",
    "torch.hub.load",
    "torch.load",
    "torch.utils.collect_env.run",
    "webbrowser.open",
    # Allowed places, through which one might reach further.
    "torch.nn.os.system",
    "torch.nn.functional.relu",
    "torch.optim.swa_utils.torch.hub.load",
    "torch.nn.modules.module.functools.partial",
    "lightning_modules.vgg.module.Path",
    "datamodules.mnist.gzip.open",
    "datamodules.mnist.MNIST.download",
    "experiment.callbacks.stop_on_signal.signal.raise_signal",
    "pytorch_lightning.Trainer.fit",
    "pytorch_lightning.callbacks.os.system",
    "experiment.entry.run_command",
]


@pytest.mark.parametrize("target", FORBIDDEN)
def test_a_target_that_is_not_a_listed_class_is_refused(target: str) -> None:
    with pytest.raises(Refused, match=r"is not allowed|names no class"):
        allowed_class(target)


@pytest.mark.parametrize("target", ["os.system", "builtins.getattr", "hydra.utils.get_object", "torch.hub.load"])
def test_a_partial_around_a_forbidden_target_is_refused(target: str) -> None:
    for node in (
        {"_target_": "functools.partial", "_args_": [{"_target_": target}]},
        {"_target_": target, "_partial_": True},
        {"_target_": "torch.nn.Identity", "nested": [{"deeper": {"_target_": target}}]},
    ):
        with pytest.raises(Refused, match="is not allowed"):
            check_targets(node)


def test_a_forbidden_target_is_found_at_any_depth_of_a_configuration() -> None:
    config = compose()
    OmegaConf.update(config, "trainer.strategy", {"_target_": "os.system", "command": "true"}, force_add=True)
    _, problems = check_run(config)
    assert "trainer.strategy: _target_=os.system is not allowed" in problems[0].message


def test_a_saved_configuration_is_trusted_no_more_than_another(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request()
    marker = tmp_path / "was_run"
    config = request.config.copy()
    OmegaConf.update(config, "data", {"_target_": "os.system", "command": f"touch {marker}"}, force_add=True)
    run = RunDirectory(request.run.path)
    run.create({"status": "finished"}, config, diff=None)
    torch.save({"state_dict": {}}, run.checkpoints / "best.ckpt")
    with pytest.raises(Refused, match=r"os\.system is not allowed"):
        restore({"run": str(run.path), "checkpoint": "best"}, run)
    assert not marker.exists()


def test_what_is_not_allowed_is_not_instantiated(tmp_path: Path) -> None:
    marker = tmp_path / "was_run"
    with pytest.raises(Refused, match="not allowed"):
        instantiate({"_target_": "pathlib.Path.touch", "self": str(marker)})
    assert not marker.exists()


class _Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.marker,)


def test_a_malicious_checkpoint_is_refused_without_running_it(tmp_path: Path) -> None:
    marker, checkpoint = tmp_path / "was_run", tmp_path / "evil.ckpt"
    torch.save({"state_dict": _Malicious(marker)}, checkpoint)
    with pytest.raises(DamagedCheckpoint, match="is not a checkpoint of plain data"):
        load_checkpoint(checkpoint)
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    ["torch.optim.AdamW", "torch.nn.Linear", "pytorch_lightning.Trainer", "pytorch_lightning.callbacks.EarlyStopping"],
)
def test_a_listed_class_is_found_through_re_exports(target: str) -> None:
    assert allowed_class(target).source.node.name == target.rpartition(".")[2]


@pytest.mark.parametrize(
    "content",
    [
        "# @package _global_\nhydra:\n  callbacks: {x: {_target_: pathlib.Path.touch}}\n",
        '# @package _global_\n"\\x68ydra": {job: {env_set: {LD_PRELOAD: evil.so}}}\n',
        "# @package hydra.callbacks\nx: {_target_: pathlib.Path.touch}\n",
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: evil\n",
    ],
)
def test_a_configuration_file_that_changes_hydras_own_settings_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "train.yaml").write_text("hydra: {run: {dir: .}}\n")
    refuse_hydra_settings(tmp_path / "conf", [], shipped=["train.yaml"])
    (tmp_path / "conf" / "experiment" / "evil.yaml").write_text(content)
    with pytest.raises(Refused, match=r"conf/experiment/evil.yaml changes Hydra's own settings"):
        refuse_hydra_settings(tmp_path / "conf", [], shipped=["train.yaml"])


@pytest.mark.parametrize("argument", ["--config-dir=elsewhere", "-cd", "hydra.searchpath=[file://elsewhere]"])
def test_configurations_from_elsewhere_are_refused(tmp_path: Path, argument: str) -> None:
    with pytest.raises(Refused, match="configurations come from conf/ alone"):
        refuse_hydra_settings(tmp_path, [argument], shipped=[])


def test_a_saved_runs_data_may_only_be_a_data_module(make_request: MakeRequest) -> None:
    request = make_request()
    config = request.config.copy()
    OmegaConf.update(config, "data._target_", "pytorch_lightning.loggers.CSVLogger")
    request.run.create({"status": "finished"}, config, diff=None)
    torch.save({"state_dict": {}}, request.run.checkpoints / "best.ckpt")
    with pytest.raises(Refused, match="it must be a class of datamodules"):
        restore({"run": str(request.run.path), "checkpoint": "best"}, request.run)
