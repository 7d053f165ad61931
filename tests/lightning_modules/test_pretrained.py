"""Weights from elsewhere: what is loaded, what is not, and what is refused."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from lightning_modules.pretrained import Weights, imagenet_weights, load_weights_, read_weights


def _network(num_classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, num_classes))


HEAD = ["2.weight", "2.bias"]


def test_the_report_names_every_tensor_once_on_each_side() -> None:
    network, other = _network(), _network(num_classes=7)
    state = {**other.state_dict(), "extra": torch.zeros(2)}
    report = load_weights_(network, Weights("other.pth", state), new=HEAD)
    assert sorted([*report.loaded, *report.left_out]) == sorted(state)
    assert sorted([*report.loaded, *report.untouched]) == sorted(network.state_dict())
    assert report.left_out == {
        "2.weight": "7x5 in the file, 3x5 in the network",
        "2.bias": "7 in the file, 3 in the network",
        "extra": "not in the network",
    }
    assert report.untouched == HEAD
    assert str(report).startswith("other.pth: 7 of 10 tensors loaded, left out: 2.weight (7x5 in the file, 3x5")


def test_what_is_loaded_is_the_files_and_what_is_not_stays() -> None:
    network, other = _network(), _network(num_classes=7)
    head = network[2].weight.clone()
    load_weights_(network, Weights("other.pth", other.state_dict()), new=HEAD)
    assert torch.equal(network[0].weight, other[0].weight)
    assert torch.equal(network[1].running_var, other[1].running_var)
    assert torch.equal(network[2].weight, head)


def test_nothing_in_common_is_refused() -> None:
    state = torchvision.models.squeezenet1_0().state_dict()
    with pytest.raises(ValueError, match=r"squeeze.pth has nothing for this network: its 52 tensors \(features.0.w"):
        load_weights_(_network(), Weights("squeeze.pth", state), new=HEAD)


def test_weights_of_another_architecture_are_refused_and_change_nothing() -> None:
    network = torchvision.models.resnet50(num_classes=2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torchvision.models.resnet18().state_dict()
    with pytest.raises(ValueError, match=r"resnet18 is not of this architecture: \d+ of the network's 320 tensors"):
        load_weights_(network, Weights("resnet18", state), new=["fc.weight", "fc.bias"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_another_number_of_classes_is_refused_where_the_head_is_not_new() -> None:
    state = _network(num_classes=7).state_dict()
    with pytest.raises(ValueError, match=r"2.weight \(7x5 in the file, 3x5 in the network\), 2.bias"):
        load_weights_(_network(), Weights("seven.pth", state), new=[])


def test_the_counters_that_old_files_lack_may_be_missing() -> None:
    state = {name: tensor for name, tensor in _network().state_dict().items() if "num_batches" not in name}
    assert load_weights_(_network(), Weights("old.pth", state), new=[]).untouched == ["1.num_batches_tracked"]


def test_a_checkpoint_of_ours_yields_its_networks_part(tmp_path: Path) -> None:
    state = {f"network.{name}": tensor for name, tensor in _network().state_dict().items()}
    torch.save({"state_dict": {**state, "metrics.total": torch.zeros(())}, "epoch": 3}, tmp_path / "best.ckpt")
    weights = read_weights(tmp_path / "best.ckpt")
    assert weights.state.keys() == _network().state_dict().keys()
    assert weights.source.startswith("best.ckpt (sha256 ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": _network}, "holds more than weights, or is cut off"),
        ([torch.zeros(2)], "is no state dict: it should map names to tensors"),
        ({}, "is no state dict"),
        ({"weight": 3}, "is no state dict"),
    ],
)
def test_what_holds_anything_but_tensors_is_refused(tmp_path: Path, content, message: str) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "weights.pth")


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    torch.save(_network().state_dict(), tmp_path / "weights.pth")
    (tmp_path / "weights.pth").write_bytes((tmp_path / "weights.pth").read_bytes()[:300])
    with pytest.raises(ValueError, match="holds more than weights, or is cut off"):
        read_weights(tmp_path / "weights.pth")


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    torch.save(_network().state_dict(), tmp_path / "network-0123abcd.pth")
    with pytest.raises(ValueError, match=r"its sha256 begins with .{8}, its name says 0123abcd; delete it and fetch"):
        read_weights(tmp_path / "network-0123abcd.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there are no weights .*nowhere\.pth; correct the path"):
        read_weights(tmp_path / "nowhere.pth")


def test_without_a_network_the_address_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(FileNotFoundError, match=r"no ImageNet weights of squeezenet1_0 .*put https://\S+pth there"):
        imagenet_weights("squeezenet1_0", folder=tmp_path)


def test_a_damaged_file_in_torchs_cache_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "squeezenet1_0-b66bff10.pth").write_bytes(b"half a download")
    with pytest.raises(ValueError, match="its name says b66bff10; delete it and fetch it again"):
        imagenet_weights("squeezenet1_0", folder=tmp_path)


def _named_by_hash(folder: Path, stem: str) -> str:
    import hashlib

    torch.save({"stem": torch.tensor([len(stem)])}, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()[:8]
    (folder / "new.pth").rename(folder / f"{stem}-{digest}.pth")
    return f"{stem}-{digest}.pth"


def test_a_file_of_a_longer_name_is_another_architectures(tmp_path: Path) -> None:
    _named_by_hash(tmp_path, "vgg16_bn")
    pruned = _named_by_hash(tmp_path, "vgg16_pruned")
    assert imagenet_weights("vgg16", folder=tmp_path).source.startswith(pruned)
    own = _named_by_hash(tmp_path, "vgg16")
    assert imagenet_weights("vgg16", folder=tmp_path).source.startswith(own)


@pytest.mark.real_data
def test_the_genuine_squeezenet_fills_torchvisions(real_data: Path) -> None:
    network = torchvision.models.squeezenet1_0()
    weights = imagenet_weights("squeezenet1_0", folder=real_data / "weights")
    report = load_weights_(network, weights, new=[])
    assert (len(report.loaded), report.left_out, report.untouched) == (52, {}, [])
