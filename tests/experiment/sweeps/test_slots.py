"""Devices of the trials that run at the same time."""

from typing import Any

import pytest

from experiment.failures import Refused
from experiment.sweeps import slots
from experiment.sweeps.slots import Slot, slots_for, slots_of


def _trainer(accelerator: str, devices: Any = 1, num_nodes: int = 1) -> dict[str, Any]:
    return {"accelerator": accelerator, "devices": devices, "num_nodes": num_nodes}


@pytest.mark.parametrize(
    ("visible", "requested", "devices", "expected"),
    [
        ("0,1,2,3", "auto", 1, ["0", "1", "2", "3"]),
        ("0,1,2,3", "auto", 2, ["0,1", "2,3"]),
        ("4,6,7", "auto", 2, ["4,6"]),
        ("0,1", "auto", -1, ["0,1"]),
        # More trials than GPUs share them.
        ("0", 3, 1, ["0", "0", "0"]),
        ("0,1", 1, 1, ["0"]),
        ("GPU-a,GPU-b", "auto", 1, ["GPU-a", "GPU-b"]),
    ],
)
def test_gpus_are_given_out_by_their_ids(
    visible: str, requested: Any, devices: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots_for(requested, _trainer("gpu", devices))]
    assert found == expected


@pytest.mark.parametrize(
    ("cores", "requested", "devices", "threads"),
    [(8, 2, 1, "4"), (8, 2, 2, "2"), (8, 3, 1, "2"), (2, 4, 1, "1"), (8, 1, 2, "4"), (8, "auto", 1, None)],
)
def test_cores_are_shared_out_among_the_processes(
    cores: int, requested: Any, devices: int, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(slots, "_num_cores", lambda: cores)
    found = slots_for(requested, _trainer("cpu", devices))
    # One process alone keeps torch's own choice, hence the same bits as outside of a sweep.
    assert all(slot.environment.get("OMP_NUM_THREADS") == threads for slot in found)


def test_what_one_machine_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(Refused, match="this machine has no GPU; try trainer=cpu"):
        slots_for("auto", _trainer("gpu"))
    assert len(slots_for("auto", _trainer("auto"))) == 1
    with pytest.raises(Refused, match="a trial runs on one machine"):
        slots_for("auto", _trainer("cpu", num_nodes=2))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(Refused, match="a trial takes 2 GPUs, but this machine has 1"):
        slots_for("auto", _trainer("gpu", 2))
    with pytest.raises(Refused, match="the sweep gives out the devices"):
        slots_for("auto", _trainer("gpu", [0]))


def test_workers_bring_their_own_devices_and_their_number_is_the_users_to_say() -> None:
    trainer = {"num_nodes": 1, "accelerator": "gpu", "devices": 2}
    assert slots_of({"slots": 3, "workers": {"kind": "ray"}}, trainer) == [Slot(n, {}) for n in range(3)]
    with pytest.raises(Refused, match=r"sweep\.slots=4"):
        slots_of({"slots": "auto", "workers": {"kind": "ray"}}, trainer)
