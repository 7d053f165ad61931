"""Which clips a folder holds, of which classes and splits. Opens no clip, imports no torch."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.class_folders import IMAGE_SUFFIXES, LabelledFile

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")
SPLITS = ("train", "val", "test")
INDEX = "index.csv"


class ListedClip(NamedTuple):
    """A clip as a folder or a CSV file lists it.

    Attributes:
        split: None where nothing says one.
        group: what must not be divided between splits, such as the recording that clips were cut from.
    """

    path: Path
    class_name: str
    split: str | None
    group: str


def clip_class_names_in(folder: Path | str) -> list[str]:
    """The names of the classes of a folder of clips, sorted.

    Raises:
        ValueError: see `list_clips`; or there are fewer than two classes.
    """
    names = sorted({clip.class_name for clip in list_clips(Path(folder), group_column=None)})
    if len(names) < 2:
        raise ValueError(f"{folder} has clips of the classes {names}; it takes at least two")
    return names


def list_clips(folder: Path, *, group_column: str | None) -> list[ListedClip]:
    """The clips of `index.csv` in its order, or of class folders, sorted.

    The CSV has the columns `path` (below the folder) and `label`, and may have `split` (train, val or test). Without
    it the folder holds class folders, or `train/`, `val/` and `test/` that hold them. A clip is a video file, or a
    folder of images.

    Args:
        group_column: of the CSV; None takes every clip for a group of its own.

    Raises:
        ValueError: there is no such folder, it has no clips, or the CSV lacks a column or has another split.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give one with {INDEX} or a folder of clips for each class")
    index = folder / INDEX
    clips = _in_index(index, group_column) if index.is_file() else _in_folders(folder, group_column)
    if not clips:
        raise ValueError(f"{folder} has no clips ({', '.join(VIDEO_SUFFIXES)}, or folders of images); add some")
    return clips


def clips_by_split(
    clips: Sequence[ListedClip], class_names: Sequence[str], *, val_fraction: float, test_fraction: float
) -> dict[str, list[LabelledFile]]:
    """The clips of each split, with the index of each one's class.

    What is listed without a split is for training; of the training clips whole groups are held out, for `test` and then
    for `val`, where no clip is listed for it, until they have so large a part. Which groups depends on their names
    alone. A test fraction of 0 tests on the validation clips.

    Raises:
        ValueError: a clip has another class, or a split is left without clips.
    """
    listed: dict[str, list[ListedClip]] = defaultdict(list)
    for clip in clips:
        if clip.class_name not in class_names:
            raise ValueError(
                f"{clip.path} is of the class {clip.class_name}, but the configuration has {', '.join(class_names)};"
                " restore the folder, or start a new run"
            )
        listed[clip.split or "train"].append(clip)
    fractions = {"test": test_fraction, "val": val_fraction}
    for split, fraction in fractions.items():
        if not listed[split] and fraction > 0:
            listed[split], listed["train"] = _hold_out(listed["train"], fraction, split)
    listed["test"] = listed["test"] or listed["val"]
    for split in SPLITS:
        if not listed[split]:
            raise ValueError(f"no clips are left for {split}; list some, or raise data.val_fraction above 0")
    return {
        split: [LabelledFile(clip.path, class_names.index(clip.class_name)) for clip in listed[split]]
        for split in SPLITS
    }


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and _is_shown(path))


def _in_index(index: Path, group_column: str | None) -> list[ListedClip]:
    # Spreadsheets write a byte order mark, which utf-8-sig takes away.
    with index.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        columns = {"path", "label"} | ({group_column} if group_column else set())
        if missing := sorted(columns - set(reader.fieldnames or ())):
            raise ValueError(f"{index} has no column {', '.join(missing)}; it has {reader.fieldnames}")
        clips = []
        for row in reader:
            split = row.get("split") or None
            if split not in (None, *SPLITS):
                raise ValueError(f"{index}, line {reader.line_num}: split {split!r} is none of {', '.join(SPLITS)}")
            group = row[group_column] if group_column else row["path"]
            clips.append(ListedClip(index.parent / row["path"], row["label"], split, group))
    return clips


def _in_folders(folder: Path, group_column: str | None) -> list[ListedClip]:
    if group_column is not None:
        raise ValueError(f"data.group_column={group_column}: {folder} has no {INDEX} with columns; set it to null")
    # A class may be called train too: of vehicles, say. Then clips are in it, not classes.
    has_splits = any(entry.is_dir() and not images_in(entry) for entry in _shown_in(folder / "train"))
    places = {split: folder / split for split in SPLITS} if has_splits else {None: folder}
    return [
        ListedClip(path, class_folder.name, split, str(path.relative_to(folder)))
        for split, place in places.items()
        for class_folder in _shown_in(place)
        if class_folder.is_dir()
        for path in _shown_in(class_folder)
        if path.suffix.lower() in VIDEO_SUFFIXES or (path.is_dir() and images_in(path))
    ]


def _shown_in(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if _is_shown(path)) if place.is_dir() else []


def _is_shown(path: Path) -> bool:
    # What programs leave behind: .git, .ipynb_checkpoints, __MACOSX.
    return not path.name.startswith((".", "__"))


def _hold_out(clips: list[ListedClip], fraction: float, split: str) -> tuple[list[ListedClip], list[ListedClip]]:
    """Clips held out and clips left, by whole groups: at least one of either."""
    sizes: dict[str, int] = defaultdict(int)
    for clip in clips:
        sizes[clip.group] += 1
    if len(sizes) < 2:
        raise ValueError(f"{len(sizes)} group of clips cannot be divided for {split}; list more, or give a split")
    # By a hash of the name: near to random, and clips added later move few others.
    shuffled = sorted(sizes, key=lambda group: hashlib.sha256(group.encode()).digest())
    held_out: set[str] = set()
    while sum(sizes[group] for group in held_out) < fraction * len(clips) and len(held_out) < len(sizes) - 1:
        held_out.add(shuffled[len(held_out)])
    return [c for c in clips if c.group in held_out], [c for c in clips if c.group not in held_out]
