"""Handwritten digits that come with scikit-learn: 1,797 real images of 8 x 8 pixels (Alpaydin and Kaynak, UCI 1998)."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from datamodules.image_tensors import ImageTensorsDataModule, LabelledImages, Splits

TEST_IMAGES = 360
VAL_IMAGES = 180
# The split is part of the data set, whatever the run's seed: results stay comparable.
SPLIT_SEED = 0


class DigitsDataModule(ImageTensorsDataModule):
    """1,257 training, 180 validation and 360 test images, classes in equal shares; no download."""

    def read_splits(self) -> Splits:
        digits = load_digits()
        # Stored values are 0 to 16.
        image = torch.from_numpy(digits.images * (255 / 16)).round().to(torch.uint8)[:, None]
        label = torch.from_numpy(digits.target).long()
        rest, test = train_test_split(range(len(label)), test_size=TEST_IMAGES, stratify=label, random_state=SPLIT_SEED)
        train, val = train_test_split(rest, test_size=VAL_IMAGES, stratify=label[rest], random_state=SPLIT_SEED)
        return Splits(*(LabelledImages(image[sorted(rows)], label[sorted(rows)]) for rows in (train, val, test)))

    def mean_and_std(self) -> tuple[float, float]:
        return 0.305, 0.376

    @property
    def native_size(self) -> int:
        return 8
