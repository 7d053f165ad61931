"""Images sorted into one folder for each class: which classes and files there are. Opens no image, imports no torch."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# What torchvision's ImageFolder takes, of any case.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
SPLITS = ("train", "val", "test")


class LabelledFile(NamedTuple):
    """An image file, and the index of its class."""

    path: Path
    label: int


def class_names_in(folder: Path | str) -> list[str]:
    """The names of a folder's class folders, sorted.

    `folder` holds the class folders themselves, or `train/` and optionally `val/` and `test/` that each hold them.

    Raises:
        ValueError: there is no such folder, it has fewer than two classes or a class without images, or its splits
            have different classes.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"{folder} is no folder; give one that holds a folder of images for each class")
    names: list[str] | None = None
    for place in _split_folders(Path(folder)).values() or [Path(folder)]:
        found = _classes_of(place)
        if names is not None and found != names:
            only = ", ".join(sorted(set(found) ^ set(names)))
            raise ValueError(f"the splits of {folder} have different classes: not all have {only}; give all the same")
        names = found
    assert names is not None
    return names


def files_by_split(
    folder: Path, class_names: Sequence[str], *, val_fraction: float, test_fraction: float
) -> dict[str, list[LabelledFile]]:
    """The images of each split, sorted by class and path.

    A split that has a folder of its own consists of what is there. Else `val` is held out of the training images of
    every class, and before it `test` where no split has a folder; a test fraction of 0, or `train/` and `val/` without
    `test/`, tests on the validation images. Which images are held out depends on their names alone.

    Raises:
        ValueError: a class has too few images to hold some out.
    """
    places = _split_folders(folder)
    splits: dict[str, list[LabelledFile]] = {name: [] for name in SPLITS}
    for label, class_name in enumerate(class_names):
        found = {split: images_in(place / class_name) for split, place in places.items()}
        if not places:
            found["train"] = images_in(folder / class_name)
            found["test"], found["train"] = _hold_out(found["train"], test_fraction, folder / class_name)
        if "val" not in found:
            found["val"], found["train"] = _hold_out(found["train"], val_fraction, folder / class_name)
        for split in SPLITS:
            splits[split] += [LabelledFile(path, label) for path in found.get(split, [])]
    if not splits["test"]:
        splits["test"] = splits["val"]
    if not splits["val"]:
        raise ValueError(f"val_fraction={val_fraction} leaves {folder} without validation images; raise it above 0")
    return splits


def _split_folders(folder: Path) -> dict[str, Path]:
    """The splits' folders; none where `train` is itself a class (of vehicles, say), that is holds no folders."""
    if not (folder / "train").is_dir() or not folders_in(folder / "train"):
        return {}
    return {name: folder / name for name in SPLITS if (folder / name).is_dir()}


def _classes_of(place: Path) -> list[str]:
    folders = folders_in(place)
    if len(folders) < 2:
        there = f"only the class {folders[0].name}" if folders else "no folders of classes"
        raise ValueError(f"{place} has {there}; it takes at least two folders, each with the images of one class")
    for class_folder in folders:
        if not images_in(class_folder):
            raise ValueError(
                f"{class_folder} has no images ({', '.join(IMAGE_SUFFIXES)}); add some, or remove the folder"
            )
    return [class_folder.name for class_folder in folders]


def folders_in(place: Path) -> list[Path]:
    """The folders in a folder, sorted, but those that programs leave behind."""
    # What programs leave behind: .git, .ipynb_checkpoints, __MACOSX.
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def images_in(class_folder: Path) -> list[Path]:
    """The images at any depth of a folder, sorted; none if there is no such folder."""
    return sorted(
        path
        for path in class_folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _hold_out(paths: list[Path], fraction: float, class_folder: Path) -> tuple[list[Path], list[Path]]:
    """Images held out and images left, both sorted: of few at least one, and at least one is left."""
    if fraction == 0:
        return [], paths
    num_held_out = max(1, round(len(paths) * fraction))
    if num_held_out >= len(paths):
        raise ValueError(
            f"{class_folder} has too few images to hold {num_held_out} out of {len(paths)}; add some, lower"
            " data.val_fraction or data.test_fraction, or make folders train/ and val/"
        )
    # By a hash of the name: near to random, and an image added later moves few others.
    shuffled = sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())
    return sorted(shuffled[:num_held_out]), sorted(shuffled[num_held_out:])
