"""Weights trained elsewhere: read with care, loaded where name and shape agree, with an exact account of the rest."""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import torch
import torchvision
from torch import Tensor, nn

State = dict[str, Tensor]
# How far a list of tensors is written out in an error; a report has all.
_NAMED_IN_ERRORS = 4
# A file's hash as torchvision's names have it: vgg16-397923af.pth.
_HASH_IN_NAME = re.compile(r"(?P<stem>.+)-(?P<sha256>[0-9a-f]{8,64})\.\w+$")
# What wrappers put before every name: our LightningModules, torch's DataParallel.
_WRAPPERS = ("network.", "module.")


class Weights(NamedTuple):
    """Tensors by name, and where they come from, in words.

    Attributes:
        vocabulary: of the texts that a checkpoint of ours was trained with.
    """

    source: str
    state: State
    vocabulary: str | None = None


class LoadingReport(NamedTuple):
    """What became of every tensor.

    Attributes:
        loaded: names of those that were copied into the network.
        left_out: those of the source that were not, and why.
        untouched: those of the network that keep the values they had.
    """

    source: str
    loaded: list[str]
    left_out: dict[str, str]
    untouched: list[str]

    def __str__(self) -> str:
        num_tensors = len(self.loaded) + len(self.left_out)
        left_out = "; ".join(f"{name} ({why})" for name, why in self.left_out.items()) or "nothing"
        untouched = ", ".join(self.untouched) or "nothing"
        return (
            f"{self.source}: {len(self.loaded)} of {num_tensors} tensors loaded, left out: {left_out}; as initialised:"
            f" {untouched}"
        )


def load_weights_(network: nn.Module, weights: Weights, *, new: Collection[str]) -> LoadingReport:
    """Copy every tensor that has the name and the shape of one of the network's.

    Args:
        new: names of the network's tensors that the weights need not have, such as a new head's.

    Raises:
        ValueError: nothing agrees, or a tensor that is not `new` finds no counterpart; the network is unchanged then.
    """
    source, given = weights.source, weights.state
    own: State = network.state_dict()
    left_out = {name: why for name, tensor in given.items() if (why := _why_left_out(name, tensor, own)) is not None}
    loaded = [name for name in given if name not in left_out]
    if not loaded:
        raise ValueError(
            f"{source} has nothing for this network: its {len(given)} tensors ({_some(given)}) agree with none of the"
            f" network's {len(own)} ({_some(own)}) in name and shape; give weights of the same architecture"
        )
    untouched = [name for name in own if name not in loaded]
    # Files from before torch 0.4.1 do not count batches; only a momentum of None would use the number.
    missing = [name for name in untouched if name not in new and not name.endswith(".num_batches_tracked")]
    if missing:
        reasons = [f"{name} ({left_out.get(name, 'not in the file')})" for name in missing]
        raise ValueError(
            f"{source} is not of this architecture: {len(missing)} of the network's {len(own)} tensors find no"
            f" counterpart: {_some(reasons)}; give weights of the same architecture"
        )
    network.load_state_dict({name: given[name] for name in loaded}, strict=False)
    return LoadingReport(source, loaded, left_out, untouched)


def _why_left_out(name: str, tensor: Tensor, own: State) -> str | None:
    if name not in own:
        return "not in the network"
    if tensor.shape != own[name].shape:
        return f"{_size(tensor)} in the file, {_size(own[name])} in the network"
    return None


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _some(names: Collection[str]) -> str:
    shown = list(names)[:_NAMED_IN_ERRORS]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")


def read_weights(path: Path) -> Weights:
    """A state dict from a file, or the network's part of one of our checkpoints; loading it runs no code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not what its name says by hash, or holds anything but named tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there are no weights {path}; correct the path, or set weights to imagenet or null")
    digest = refuse_other_content(path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} holds more than weights, or is cut off: {reason}") from error
    vocabulary = None
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        # Of the data module, whatever its class is called.
        states = (state for state in content.values() if isinstance(state, dict))
        vocabulary = next((state["vocabulary"] for state in states if "vocabulary" in state), None)
        content = content["state_dict"]
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{path} is no state dict: it should map names to tensors; save a network's state_dict()")
    for wrapper in _WRAPPERS:
        if any(name.startswith(wrapper) for name in content):
            content = {n.removeprefix(wrapper): v for n, v in content.items() if n.startswith(wrapper)}
    return Weights(f"{path.name} (sha256 {digest[:8]})", content, vocabulary)


def refuse_other_content(path: Path) -> str:
    """A file's sha256, if it begins as the file's name says; a name may also say nothing.

    Raises:
        ValueError: it is another.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    named = _HASH_IN_NAME.match(path.name)
    if named is not None and not digest.startswith(named["sha256"]):
        raise ValueError(
            f"{path} is damaged: its sha256 begins with {digest[:8]}, its name says {named['sha256']}; delete it and"
            " fetch it again"
        )
    return digest


def imagenet_weights(architecture: str, *, folder: Path) -> Weights:
    """The ImageNet weights of one of torchvision's classifiers.

    Args:
        folder: where a file `<architecture>-<hash>.pth` or `<architecture>_<variant>-<hash>.pth` is looked for first;
            else they are torchvision's best, from torch's cache or its public origin.

    Raises:
        FileNotFoundError: there is no such file and no network.
        ValueError: a file is not what its name says.
    """
    if files := _files_of(architecture, folder):
        return read_weights(files[0])
    published = torchvision.models.get_model_weights(architecture).DEFAULT
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    if file.exists():
        refuse_other_content(file)
    try:
        # By way of a network, because the names in older files are not those of today.
        network = torchvision.models.get_model(architecture, weights=published)
    except (URLError, OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"no ImageNet weights of {architecture} in {folder} and no download ({str(error).splitlines()[0]}); put"
            f" {published.url} there"
        ) from error
    return Weights(f"torchvision's {published} ({file.name})", network.state_dict())


def _files_of(architecture: str, folder: Path) -> list[Path]:
    """Files of this architecture, the shortest name first."""
    stems = {path: named["stem"] for path in folder.glob("*.pth") if (named := _HASH_IN_NAME.match(path.name))}
    found = [path for path, stem in stems.items() if _architecture_of(stem) == architecture]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _architecture_of(stem: str) -> str | None:
    """The longest of torchvision's names that it begins with: vgg16_bn is no variant of vgg16."""
    names = [name for name in torchvision.models.list_models() if f"{stem}_".startswith(f"{name}_")]
    return max(names, key=len, default=None)
