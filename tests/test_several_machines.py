"""A run over several machines, and the task for a rented one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from experiment.entry import CONF_DIR
from tests.test_command_line import PROJECT, SHORT, show_last


@pytest.mark.slow
def test_two_nodes_of_one_process_each_write_one_run() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for node in range(2):
        launcher = ["torch.distributed.run", "--nnodes=2", f"--node-rank={node}", "--nproc-per-node=1"]
        launcher += ["--master-addr=127.0.0.1", f"--master-port={port}"]
        run = ["train.py", "trainer=ddp_cpu", "trainer.num_nodes=2", "trainer.devices=1", *SHORT]
        environment = {**os.environ, "FIRSTHAND_RUN_ID": "both-nodes"}
        command = [sys.executable, "-m", *launcher, *run]
        processes.append(subprocess.Popen(command, cwd=PROJECT, env=environment, text=True, stderr=subprocess.PIPE))
    for process in processes:
        _, stderr = process.communicate(timeout=600)
        assert process.returncode == 0, stderr
    shown = show_last()
    assert (shown["id"], shown["status"], shown["num_epochs"]) == ("both-nodes", "finished", 2)
    outputs = Path(os.environ["FIRSTHAND_OUTPUTS"])
    assert len(list(outputs.glob("vgg_digits/*"))) == 1


def test_a_sweep_under_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "train.py", "-m", "seed=1,2"]
    environment = {**os.environ, "WORLD_SIZE": "2", "FIRSTHAND_RUN_ID": "one"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "-m under torchrun or srun would start the sweep once a process" in done.stderr


# SkyPilot's reference of a task (docs.skypilot.co, "Task YAML"): what may stand in one, as far as ours has it.
_TASK = {"name", "resources", "workdir", "envs", "file_mounts", "setup", "run", "num_nodes", "secrets"}
_RESOURCES = {"infra", "accelerators", "use_spot", "disk_size", "cpus", "memory", "job_recovery", "any_of"}
_BUCKET = {"name", "source", "store", "mode", "persistent"}


def test_the_task_for_a_rented_gpu_has_skypilots_keys_and_goes_on_after_a_preemption() -> None:
    task = yaml.safe_load((CONF_DIR / "cloud" / "spot_gpu.yaml").read_text())
    assert task.keys() <= _TASK
    assert task["resources"].keys() <= _RESOURCES
    assert task["resources"]["use_spot"] is True
    ((place, bucket),) = task["file_mounts"].items()
    assert bucket.keys() <= _BUCKET
    # What the next machine goes on from must lie in the bucket.
    assert task["envs"]["FIRSTHAND_OUTPUTS"].startswith(f"{place}/")
    assert "resume=auto" in task["run"]
    assert all(isinstance(value, str) for value in task["envs"].values())
