"""Which images a folder of normal and anomalous ones holds, and their masks. Opens no image, imports no torch.

The layout is that of MVTec AD (Bergmann et al. 2019, https://www.mvtec.com/company/research/datasets/mvtec-ad):

    train/good/*.png                            normal images, the only ones that are learned from
    test/good/*.png, test/<defect>/*.png        judged; val/ of the same layout is for validation
    ground_truth/<defect>/<name>_mask.png       white where the image of that name is anomalous, for some or all
"""

from pathlib import Path
from typing import NamedTuple

from datamodules.class_folders import folders_in, images_in

NORMAL = "good"


class InspectedFile(NamedTuple):
    """An image to be judged, the index of its kind, and its mask's file, if there is one."""

    path: Path
    kind: int
    mask: Path | None


class AnomalyFiles(NamedTuple):
    """Images to learn from, and those to judge in validation and in the test."""

    train: list[Path]
    val: list[InspectedFile]
    test: list[InspectedFile]


def anomaly_kinds_in(folder: Path | str) -> list[str]:
    """The kinds of images in a folder: `good`, then the names of the defects, sorted.

    Raises:
        ValueError: there is no such folder, it has no normal images to learn from, or nothing to find.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give one that holds train/{NORMAL}, test/{NORMAL} and test/<defect>")
    if not images_in(folder / "train" / NORMAL):
        raise ValueError(f"{folder} has no images in train/{NORMAL}; put the normal ones to learn from there")
    found = {
        place.name
        for split in ("val", "test")
        if (folder / split).is_dir()
        for place in folders_in(folder / split)
        if images_in(place)
    }
    if not (folder / "test" / NORMAL).is_dir() or found == {NORMAL}:
        there = ", ".join(sorted(found)) or "no folders of images"
        raise ValueError(
            f"{folder}/test has {there}; it takes normal images in test/{NORMAL} and others in test/<defect>"
        )
    return [NORMAL, *sorted(found - {NORMAL})]


def anomaly_files(folder: Path, kinds: list[str]) -> AnomalyFiles:
    """All images, sorted by kind and path; without a folder `val` validation judges the test's."""
    test = _inspected(folder, "test", kinds)
    val = _inspected(folder, "val", kinds) if (folder / "val").is_dir() else test
    return AnomalyFiles(images_in(folder / "train" / NORMAL), val, test)


def _inspected(folder: Path, split: str, kinds: list[str]) -> list[InspectedFile]:
    files = []
    for index, kind in enumerate(kinds):
        masks = {path.stem: path for path in images_in(folder / "ground_truth" / kind)}
        files += [
            InspectedFile(path, index, masks.get(f"{path.stem}_mask")) for path in images_in(folder / split / kind)
        ]
    return files
