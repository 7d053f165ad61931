"""Generated people: where their joints are drawn, what hides them, and how they are written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from datamodules import stick_figures
from datamodules.coco_annotations import AnnotatedImage, people_of
from datamodules.figure_drawing import draw_scene, random_figure
from datamodules.stick_figures import SPLITS, StickFiguresDataModule, write_figures

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
SIDE = 96


def _data(folder: Path, **changes: Any) -> StickFiguresDataModule:
    settings: dict[str, Any] = {
        "num_train": 40,
        "num_val": 2,
        "num_test": 2,
        "stored_size": SIDE,
        "batch_size": 4,
        "num_workers": 0,
        "seed": 1,
        "image_size": SIDE,
        "evaluation_size": SIDE,
        "augmentation": {},
        "on_error": "raise",
        **changes,
    }
    data = StickFiguresDataModule(data_dir=str(folder), **settings)
    data.prepare_data()
    data.setup("fit")
    return data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StickFiguresDataModule:
    return _data(tmp_path_factory.mktemp("figures"))


@pytest.fixture(scope="module")
def images(data: StickFiguresDataModule) -> list[AnnotatedImage]:
    return data.read_splits().train


def test_a_joint_is_where_its_colour_is() -> None:
    generator = np.random.default_rng(0)
    figure = random_figure(generator, height=0.8, middle=np.array([0.5, 0.5]))
    pixels = draw_scene([figure], np.zeros((0, 4)), generator, side=SIDE).image.astype(int)
    column, row = (figure.keypoints * SIDE).astype(int).T
    # Elbows, by COCO's order: the right one is red, the left one blue.
    red, blue = pixels[..., 0] - pixels[..., 2], pixels[..., 2] - pixels[..., 0]
    assert red[row[8], column[8]] > 60
    assert blue[row[7], column[7]] > 60


def test_there_are_one_to_four_people_hidden_and_cut_off_joints_and_people_without(
    images: list[AnnotatedImage],
) -> None:
    people = [people_of(image) for image in images]
    assert {len(group) for group in people} == {1, 2, 3, 4}
    visibility = np.array([person.keypoints[:, 2] for group in people for person in group if person.is_labelled])
    hidden, cut_off = (visibility == 1).mean(), (visibility == 0).mean()
    assert 0.02 < hidden < 0.25
    assert 0.02 < cut_off < 0.25
    assert 0 < sum(not person.is_labelled for group in people for person in group) < 10


def test_visible_joints_are_on_their_person_hidden_ones_are_not(images: list[AnnotatedImage]) -> None:
    for image in images:
        for person in people_of(image):
            seen = coco_mask.decode(person.segmentation).astype(bool)
            x, y = np.rint(person.keypoints[:, :2]).astype(int).clip(0, SIDE - 1).T
            # Rounding may go over an edge, for one or the other.
            assert (~seen[y, x] & (person.keypoints[:, 2] == 2)).sum() <= 1
            assert (seen[y, x] & (person.keypoints[:, 2] == 1)).sum() <= 1


def test_area_and_box_are_those_of_what_is_seen(images: list[AnnotatedImage]) -> None:
    for person in people_of(images[0]):
        assert person.area == coco_mask.area(person.segmentation)
        left, top, width, height = coco_mask.toBbox(person.segmentation)
        assert person.box_xyxy.tolist() == [left, top, left + width, top + height]


def test_the_same_is_written_everywhere_and_only_once(tmp_path: Path) -> None:
    first, second = (_data(tmp_path / name) for name in "ab")
    assert first.fingerprint() == second.fingerprint()
    (first.folder / "train" / "000000000001.png").unlink()
    first.prepare_data()
    assert not (first.folder / "train" / "000000000001.png").exists()


def test_splits_share_no_image_and_another_version_has_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _data(tmp_path)
    ids = [{image.image_id for image in split} for split in data.read_splits()]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 44
    monkeypatch.setattr(stick_figures, "VERSION", 99)
    assert _data(tmp_path).folder != data.folder


def test_an_interrupted_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "figures" / "v1"

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(json, "dumps", fail)
        with pytest.raises(OSError, match="disk full"):
            write_figures(folder, dict.fromkeys(SPLITS, 1), side=32)
    assert list(folder.parent.iterdir()) == []


def test_of_two_who_write_at_once_the_second_takes_the_firsts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "v1"
    write_figures(folder, dict.fromkeys(SPLITS, 1), side=32)
    before = (folder / "train" / "000000000001.png").stat().st_mtime_ns
    write_figures(folder, dict.fromkeys(SPLITS, 1), side=32)
    assert (folder / "train" / "000000000001.png").stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [folder]


def test_figures_make_batches_and_pictures_are_rgb(data: StickFiguresDataModule) -> None:
    batch = next(iter(data.train_dataloader()))
    assert batch.image.shape == (4, 3, SIDE, SIDE)
    assert (batch.keypoints[..., 2] > 0).any(dim=(1, 2)).all()
    with Image.open(data.read_splits().test[0].file) as image:
        assert (image.mode, image.size) == ("RGB", (SIDE, SIDE))
