"""Digits and MNIST: what is read, how it is bent, and what is refused."""

import gzip
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from datamodules.digits import DigitsDataModule
from datamodules.image_tensors import (
    ImageTensorsDataModule,
    Jitter,
    LabelledImages,
    Normalisation,
    Splits,
    jitter_and_normalise,
    normalise,
)
from datamodules.mnist import MNISTDataModule, read_idx

SETTINGS: dict[str, Any] = {
    "batch_size": 64,
    "num_workers": 0,
    "seed": 1,
    "num_classes": 10,
    "in_channels": 1,
    "image_size": 32,
    "degrees": 10.0,
    "translate": 0.07,
    "scale": 0.07,
}


def _digits(**changes: Any) -> DigitsDataModule:
    data = DigitsDataModule(**{**SETTINGS, **changes})
    data.setup("fit")
    return data


def _splits(data: ImageTensorsDataModule) -> list[LabelledImages]:
    assert data.splits is not None
    return list(data.splits)


def test_digits_are_split_into_fixed_stratified_parts_that_share_no_image() -> None:
    train, val, test = _splits(_digits())
    assert [len(split.label) for split in (train, val, test)] == [1257, 180, 360]
    for split in (train, val, test):
        shares = torch.bincount(split.label) / len(split.label)
        assert shares.min() > 0.09
        assert shares.max() < 0.11
    whole = torch.from_numpy(load_digits().images.reshape(-1, 64).sum(axis=1))
    parts = torch.cat([split.image.flatten(start_dim=1).double().sum(dim=1) for split in (train, val, test)])
    assert len(parts) == len(whole) == 1797


def test_the_split_does_not_depend_on_the_runs_seed() -> None:
    one, other = _splits(_digits(seed=1)), _splits(_digits(seed=2))
    assert all(torch.equal(a.image, b.image) for a, b in zip(one, other, strict=True))


def test_the_stated_mean_and_spread_are_those_of_the_training_images() -> None:
    data = _digits()
    image = _splits(data)[0].image.double() / 255
    assert data.mean_and_std() == pytest.approx((image.mean().item(), image.std().item()), abs=2e-3)


def test_images_that_are_not_jittered_equal_a_plain_resize() -> None:
    image = _splits(_digits())[0].image[:5]
    to = Normalisation(mean=0.3, std=0.4, in_channels=1, image_size=32)
    expected = F.interpolate((image.float() / 255 - 0.3) / 0.4, size=32, mode="bilinear", align_corners=False)
    assert torch.equal(normalise(image, to), expected)
    still = jitter_and_normalise(image, to, Jitter(0, 0, 0), torch.rand(5, 4))
    torch.testing.assert_close(still, expected, atol=1e-5, rtol=0)


BAR = torch.zeros(1, 1, 33, 33, dtype=torch.uint8)
BAR[0, 0, 8:25, 12:20] = 255
PIXELS = Normalisation(mean=0, std=1, in_channels=1, image_size=33)
# Rotation, scale, shift to the side, shift upward: 0.5 is none, 1 the largest.
ROTATED, LARGER = torch.tensor([[1.0, 0.5, 0.5, 0.5]]), torch.tensor([[0.5, 1.0, 0.5, 0.5]])
SHIFTED = torch.tensor([[0.5, 0.5, 1.0, 0.0]])


def test_a_rotation_is_torchvisions() -> None:
    bent = jitter_and_normalise(BAR, PIXELS, Jitter(degrees=90, translate=0, scale=0), ROTATED)
    torch.testing.assert_close(bent, tv.rotate(BAR.float() / 255, angle=90), atol=1e-4, rtol=0)


def test_a_shift_moves_the_image_by_a_fraction_of_its_side() -> None:
    bent = jitter_and_normalise(BAR, PIXELS, Jitter(degrees=0, translate=3 / 33, scale=0), SHIFTED)
    torch.testing.assert_close(bent, BAR.float().roll((3, -3), dims=(2, 3)) / 255, atol=1e-4, rtol=0)


def test_a_change_of_scale_is_torchvisions() -> None:
    bent = jitter_and_normalise(BAR, PIXELS, Jitter(degrees=0, translate=0, scale=0.25), LARGER)
    bilinear = tv.InterpolationMode.BILINEAR
    expected = tv.affine(BAR.float() / 255, angle=0, translate=[0, 0], scale=1.25, shear=[0.0], interpolation=bilinear)
    torch.testing.assert_close(bent, expected, atol=1e-4, rtol=0)


def test_augmentation_is_the_same_with_and_without_workers() -> None:
    alone = [batch.image for batch in itertools.islice(_digits().train_dataloader(), 3)]
    helped = [batch.image for batch in itertools.islice(_digits(num_workers=2).train_dataloader(), 3)]
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_grey_images_can_be_shown_in_three_equal_channels() -> None:
    batch = next(iter(_digits(in_channels=3).val_dataloader()))
    assert batch.image.shape == (60, 3, 32, 32)
    assert torch.equal(batch.image[:, 0], batch.image[:, 2])


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.in_channels=2: grey images have 1 channel, or 3 equal ones"):
        _digits(in_channels=2)


def test_a_label_out_of_range_is_refused_with_its_image() -> None:
    with pytest.raises(ValueError, match=r"train image \d+ has label 9, but data.num_classes=9 allows 0 to 8"):
        _digits(num_classes=9)


def test_an_empty_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    train, val, _ = _splits(_digits())
    splits = Splits(train, val, LabelledImages(val.image[:0], val.label[:0]))
    monkeypatch.setattr(DigitsDataModule, "read_splits", lambda _: splits)
    with pytest.raises(ValueError, match="the test split is empty"):
        DigitsDataModule(**SETTINGS).setup("fit")


def test_a_fingerprint_changes_with_a_single_pixel() -> None:
    data = _digits()
    before = data.fingerprint()
    assert before == _digits().fingerprint()
    _splits(data)[2].image[0, 0, 0, 0] ^= 1
    assert data.fingerprint() != before


def test_an_image_file_of_the_set_is_read_back_as_the_sets_own_image(tmp_path: Path) -> None:
    data = _digits()
    image = _splits(data)[2].image[0, 0]
    enlarged = np.kron(image.numpy(), np.ones((10, 10), dtype=np.uint8))
    Image.fromarray(enlarged).convert("RGB").save(tmp_path / "digit.png")
    batch = next(iter(data.files_dataloader([tmp_path / "digit.png"])))
    torch.testing.assert_close(batch.image, normalise(image[None, None], data.normalisation), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png cannot be read as an image .*; replace it or leave it out"):
        next(iter(_digits().files_dataloader([tmp_path / "bad.png"])))


def _write_idx(path: Path, values: "np.ndarray[Any, np.dtype[np.uint8]]") -> None:
    header = b"\x00\x00\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


def test_an_idx_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    _write_idx(tmp_path / "mine.gz", values)
    assert np.array_equal(read_idx(tmp_path / "mine.gz"), values)


def test_a_damaged_mnist_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    _write_idx(file, np.zeros(10_000, dtype=np.uint8))
    with pytest.raises(ValueError, match="is damaged: its md5 is"):
        read_idx(file)


def test_an_idx_file_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    header = b"\x00\x00\x08\x01" + struct.pack(">I", 10)
    (tmp_path / "short.gz").write_bytes(gzip.compress(header + b"123"))
    with pytest.raises(ValueError, match="announces 10 values and holds 3"):
        read_idx(tmp_path / "short.gz")


def test_missing_mnist_says_where_to_put_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Name or service not known")

    monkeypatch.setattr("datamodules.mnist.MNIST", no_network)
    with pytest.raises(
        FileNotFoundError, match=r"put train-images-idx3-ubyte\.gz.* into .*mnist, or set FIRSTHAND_DATA"
    ):
        MNISTDataModule(data_dir=str(tmp_path), **SETTINGS).prepare_data()


@pytest.mark.real_data
def test_mnist_has_its_60000_and_10000_digits(real_data: Path) -> None:
    data = MNISTDataModule(data_dir=str(real_data), **SETTINGS)
    data.prepare_data()
    data.setup("fit")
    train, val, test = _splits(data)
    assert [len(split.label) for split in (train, val, test)] == [55_000, 5_000, 10_000]
    # http://yann.lecun.com/exdb/mnist/: 5,923 zeros in training, 980 in the test.
    assert int((train.label == 0).sum() + (val.label == 0).sum()) == 5_923
    assert int((test.label == 0).sum()) == 980
    image = train.image.double() / 255
    assert data.mean_and_std() == pytest.approx((image.mean().item(), image.std().item()), abs=2e-3)


def test_chosen_classes_keep_their_order_and_get_new_indices() -> None:
    every, chosen = _splits(_digits()), _splits(_digits(classes=[8, 3], num_classes=2))
    for whole, part in zip(every, chosen, strict=True):
        is_kept = (whole.label == 8) | (whole.label == 3)
        assert torch.equal(part.image, whole.image[is_kept])
        assert [{8: 0, 3: 1}[label] for label in whole.label[is_kept].tolist()] == part.label.tolist()
    assert _digits(classes=[8, 3], num_classes=2).class_names == ["8", "3"]


@pytest.mark.parametrize("classes", [[7], [7, 7], [7, 8, 9]])
def test_classes_that_are_not_as_many_as_num_classes_are_refused(classes: list[int]) -> None:
    with pytest.raises(ValueError, match="name every class once"):
        DigitsDataModule(**{**SETTINGS, "classes": classes, "num_classes": 2})


def test_a_mean_and_deviation_of_a_half_bring_values_to_minus_1_to_1() -> None:
    image = next(iter(_digits(mean=0.5, std=0.5).evaluation_dataloader("train"))).image
    assert float(image.min()) == -1
    assert float(image.max()) == 1
