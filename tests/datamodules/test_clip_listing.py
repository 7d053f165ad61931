"""Which clips a folder lists, and into which splits they come."""

from pathlib import Path

import pytest

from datamodules.clip_listing import clip_class_names_in, clips_by_split, list_clips

FRACTIONS = {"val_fraction": 0.2, "test_fraction": 0.2}


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def write_index(folder: Path, *lines: str) -> None:
    (folder / "index.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")


def test_class_folders_hold_videos_and_folders_of_images(tmp_path: Path) -> None:
    touch(tmp_path / "run" / "a.mp4", tmp_path / "walk" / "b" / "0.jpg", tmp_path / "walk" / "notes.txt")
    clips = list_clips(tmp_path, group_column=None)
    assert [(clip.path.name, clip.class_name, clip.split) for clip in clips] == [
        ("a.mp4", "run", None),
        ("b", "walk", None),
    ]
    assert clip_class_names_in(tmp_path) == ["run", "walk"]


def test_folders_of_splits_are_kept_as_they_are(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        touch(*(tmp_path / split / name / f"{split}.avi" for name in ("run", "walk")))
    splits = clips_by_split(list_clips(tmp_path, group_column=None), ["run", "walk"], **FRACTIONS)
    assert {split: {clip.path.stem for clip in clips} for split, clips in splits.items()} == {
        split: {split} for split in splits
    }


def test_a_class_of_trains_is_no_split(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "a" / "0.png", tmp_path / "tram" / "b" / "0.png")
    assert clip_class_names_in(tmp_path) == ["train", "tram"]


def test_an_index_says_files_labels_and_splits(tmp_path: Path) -> None:
    write_index(tmp_path, "path,label,split", "x/1.mp4,run,train", "x/2.mp4,walk,val", "x/3.mp4,walk,test")
    splits = clips_by_split(list_clips(tmp_path, group_column=None), ["run", "walk"], **FRACTIONS)
    assert splits["train"] == [(tmp_path / "x" / "1.mp4", 0)]
    assert splits["val"] == [(tmp_path / "x" / "2.mp4", 1)]
    assert splits["test"] == [(tmp_path / "x" / "3.mp4", 1)]


def test_a_recording_is_never_divided_between_splits(tmp_path: Path) -> None:
    lines = [f"{number}.mp4,{'run' if number % 2 else 'walk'},rec{number // 5}" for number in range(100)]
    write_index(tmp_path, "path,label,recording", *lines)
    splits = clips_by_split(list_clips(tmp_path, group_column="recording"), ["run", "walk"], **FRACTIONS)
    recordings = {split: {int(clip.path.stem) // 5 for clip in clips} for split, clips in splits.items()}
    assert sum(len(found) for found in recordings.values()) == len(set().union(*recordings.values())) == 20
    assert {split: len(clips) for split, clips in splits.items()} == {"train": 60, "val": 20, "test": 20}


def test_without_test_clips_the_validation_clips_are_tested_on(tmp_path: Path) -> None:
    touch(*(tmp_path / name / f"{i}.mp4" for name in ("run", "walk") for i in range(5)))
    clips = list_clips(tmp_path, group_column=None)
    splits = clips_by_split(clips, ["run", "walk"], val_fraction=0.2, test_fraction=0.0)
    assert splits["test"] == splits["val"]
    assert len(splits["val"]) == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,split", "a.mp4,train"], "has no column label"),
        (["path,label,split", "a.mp4,run,dev"], "line 2: split 'dev' is none of train, val, test"),
        (["path,label"], "has no clips"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    write_index(tmp_path, *lines)
    with pytest.raises(ValueError, match=message):
        list_clips(tmp_path, group_column=None)


def test_a_class_that_the_configuration_does_not_have_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "run" / "a.mp4", tmp_path / "jump" / "b.mp4")
    with pytest.raises(ValueError, match=r"b\.mp4 is of the class jump, but the configuration has run, walk"):
        clips_by_split(list_clips(tmp_path, group_column=None), ["run", "walk"], **FRACTIONS)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is no folder"):
        list_clips(tmp_path / "nowhere", group_column=None)


@pytest.mark.real_data
def test_genuine_recordings_are_in_one_split_each(real_data: Path) -> None:
    folder = real_data / "video" / "ceiling_actions"
    names = clip_class_names_in(folder)
    clips = list_clips(folder, group_column="recording")
    splits = clips_by_split(clips, names, val_fraction=0.15, test_fraction=0.0)
    group_of = {clip.path: clip.group for clip in clips}
    groups = {split: {group_of[clip.path] for clip in found} for split, found in splits.items()}
    assert len(splits["test"]) == 47
    assert len(splits["train"]) + len(splits["val"]) == 180
    assert not groups["train"] & groups["val"]
    assert not groups["train"] & groups["test"]
    assert not groups["val"] & groups["test"]
