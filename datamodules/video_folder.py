"""A folder of video clips of your own: class folders, or an `index.csv` that lists files, labels and splits."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batches import ClipBatch, ClipClassificationBatch
from datamodules.class_folders import LabelledFile
from datamodules.clip_files import ClipReader, FrameSize
from datamodules.clip_listing import SPLITS, clips_by_split, list_clips
from datamodules.clip_sampling import Sampling, SamplingName, sampling_of
from datamodules.clip_windows import UsersClips, shown
from datamodules.image_views import View, evaluation_view, training_view
from datamodules.loading import (
    Draw,
    SamplesOneByOne,
    evaluation_loader,
    training_loader,
    training_order,
)
from datamodules.moving_shapes import MovingShapes
from datamodules.randomness import seed_of, torchs_randomness
from datamodules.unreadable import OnError, UnreadableSample

LabelledClip = tuple[Float[Tensor, "C T H W"], int]


class ClipSamples:
    """Reads the frames of a clip that are to be shown.

    Args:
        seed: which frames and what the view draws are functions of (seed, epoch, sample); None shows the middle ones.
    """

    def __init__(
        self, clips: Sequence[LabelledFile], reader: ClipReader, sampling: Sampling, view: View, *, seed: int | None
    ) -> None:
        self.clips = clips
        self.reader = reader
        self.sampling = sampling
        self.view = view
        self.seed = seed

    def __call__(self, draw: Draw) -> LabelledClip:
        path, label = self.clips[draw.sample]
        frames = self.reader(path)
        if len(frames) < self.sampling.least_frames:
            raise UnreadableSample(
                path,
                f"it has {len(frames)} frames, {self.sampling.num_frames} are shown of {self.sampling.least_frames}",
            )
        if self.seed is None:
            return shown(frames[self.sampling.middle(len(frames))], self.view), label
        seed = seed_of(self.seed, draw.epoch, draw.sample)
        indices = self.sampling.random(len(frames), np.random.default_rng(seed))
        with torchs_randomness(seed):
            return shown(frames[indices], self.view), label


def collate(samples: list[LabelledClip]) -> ClipClassificationBatch:
    """A batch of clips of equal size."""
    clips, labels = zip(*samples, strict=True)
    return ClipClassificationBatch(torch.stack(clips), torch.tensor(labels))


class VideoFolderDataModule(LightningDataModule):
    """Clips listed by a folder; see `list_clips` and `clips_by_split`.

    Args:
        folder: see `list_clips`.
        class_names: of the clips, sorted, which conf/data/video_folder.yaml reads from the folder; None takes the
            folder's, whatever they are.
        num_classes: how many those are.
        group_column: of `index.csv`: clips that share its value come into the same split; null if none do.
        val_fraction, test_fraction: see `clips_by_split`.
        sampling: `segments` or `consecutive`, see `clip_sampling`.
        num_frames: that a network sees of a clip.
        frame_step: from one consecutive frame to the next; 1 with segments.
        frame_height, frame_width: what decoded frames are brought to, in pixels, before anything else.
        image_size: side of the square in pixels that the network sees.
        center_crop_fraction: side of the middle square that evaluation shows, as a fraction of the shorter side.
        mean, std: of each channel on a scale from 0 to 1.
        min_crop_area, flip_probability, color_jitter: see `ImageFolderDataModule`; all frames of a clip get the same.
        cache_dir: receives the decoded frames of every clip, once; null decodes at every visit.
        window_s, hop_s: a file is predicted from windows of so many seconds, each so many seconds after the one before;
            null makes one of the whole file.
        batch_size: samples of one process in a step.
        num_workers: processes that read clips; 0 reads them in the training process.
        seed: of the order, the frames and the augmentation, each a function of (seed, epoch, sample).
        on_error: whether a clip that cannot be decoded or is too short ends the run or is left out.
        shapes: a `MovingShapes`, which writes a set of its own into a folder in `folder`, where it is missing.

    Raises:
        ValueError: a value is out of its range, or class names and number of classes disagree.
    """

    def __init__(
        self,
        *,
        folder: str,
        class_names: list[str] | None,
        num_classes: int,
        group_column: str | None,
        val_fraction: float,
        test_fraction: float,
        sampling: SamplingName,
        num_frames: int,
        frame_step: int,
        frame_height: int,
        frame_width: int,
        image_size: int,
        center_crop_fraction: float,
        mean: list[float],
        std: list[float],
        min_crop_area: float,
        flip_probability: float,
        color_jitter: float,
        cache_dir: str | None,
        window_s: float | None,
        hop_s: float | None,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError,
        shapes: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(f"data.num_classes={num_classes}, but data.class_names has {len(class_names)}")
        self.parent_folder = Path(folder)
        self.shapes = None if shapes is None else MovingShapes(**{k: v for k, v in shapes.items() if k != "_target_"})
        self.folder = self.parent_folder if self.shapes is None else self.shapes.folder(self.parent_folder)
        self.num_classes = num_classes
        self.listed_names = class_names
        self.group_column = group_column
        self.fractions = {"val_fraction": val_fraction, "test_fraction": test_fraction}
        self.sampling = sampling_of(sampling, num_frames=num_frames, frame_step=frame_step)
        self.reader = ClipReader(
            FrameSize(frame_height, frame_width), cache_dir=Path(cache_dir) if cache_dir is not None else None
        )
        self.slide_windows_(window_s=window_s, hop_s=hop_s)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.on_error = on_error
        self.splits: dict[str, list[LabelledFile]] | None = None
        seen: Any = {"image_size": image_size, "center_crop_fraction": center_crop_fraction, "mean": mean, "std": std}
        self.evaluation_view = evaluation_view(**seen)
        self.training_view = training_view(
            **seen, min_crop_area=min_crop_area, flip_probability=flip_probability, color_jitter=color_jitter
        )

    def prepare_data(self) -> None:
        """Write the generated clips, if such are asked for."""
        if self.shapes is not None:
            self.shapes.write(self.parent_folder)

    def slide_windows_(self, *, window_s: float | None, hop_s: float | None) -> None:
        """Predict files from such windows from now on.

        Raises:
            ValueError: only one of the two is given, or it is not above 0.
        """
        if (window_s is None) != (hop_s is None) or (window_s is not None and min(window_s, hop_s or 0) <= 0):
            raise ValueError(f"window_s={window_s}, hop_s={hop_s}: give seconds above 0 for both, or null")
        self.window_s = window_s
        self.hop_s = hop_s

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their indices."""
        assert self.listed_names is not None, "setup() comes before the names of a folder that is to be asked"
        return self.listed_names

    def setup(self, stage: str) -> None:
        """List the clips of each split, once.

        Raises:
            ValueError: the folder has another number of classes; see also `list_clips` and `clips_by_split`.
        """
        if self.splits is not None:
            return
        clips = list_clips(self.folder, group_column=self.group_column)
        names = self.listed_names or sorted({clip.class_name for clip in clips})
        if len(names) != self.num_classes:
            raise ValueError(f"{self.folder} has {len(names)} classes, but data.num_classes={self.num_classes}")
        self.listed_names = names
        self.splits = clips_by_split(clips, names, **self.fractions)

    def fingerprint(self) -> str:
        """A hash over the names, sizes in bytes and classes of every split's clips; none is read."""
        digest = hashlib.sha256()
        for split in SPLITS:
            for path, label in self._listed(split):
                size = path.stat().st_size if path.is_file() else 0
                digest.update(f"{split}/{label}/{path.relative_to(self.folder)}/{size}\n".encode())
        return digest.hexdigest()

    def contents(self) -> dict[str, Any]:
        """The number of clips of each class in each split."""
        counts = {split: Counter(clip.label for clip in self._listed(split)) for split in SPLITS}
        return {
            split: {self.class_names[label]: number for label, number in sorted(count.items())}
            for split, count in counts.items()
        }

    def train_dataloader(self) -> DataLoader[ClipClassificationBatch]:
        dataset = self._samples("train", self.training_view, seed=self.seed)
        order = training_order(self.trainer, len(dataset), batch_size=self.batch_size, seed=self.seed)
        return training_loader(dataset, order, num_workers=self.num_workers, on_error=self.on_error)

    def val_dataloader(self) -> DataLoader[ClipClassificationBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[ClipClassificationBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[ClipClassificationBatch]:
        """Every clip of a split once, its middle frames, as they are."""
        dataset = self._samples(split, self.evaluation_view, seed=None)
        return evaluation_loader(
            dataset, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers, on_error=self.on_error
        )

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[ClipBatch]:
        """The windows of each file, a file to a batch, in the order given."""
        clips = UsersClips(
            paths, self.reader.size, self.sampling, self.evaluation_view, window_s=self.window_s, hop_s=self.hop_s
        )
        return evaluation_loader(clips, self.trainer, batch_size=1, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some clips of a split that are files, evenly spread over it."""
        files = [clip.path for clip in self._listed(split) if clip.path.is_file()]
        return [files[index] for index in np.linspace(0, len(files) - 1, min(count, len(files)), dtype=int)]

    def _samples(
        self, split: str, view: View, *, seed: int | None
    ) -> SamplesOneByOne[LabelledClip, ClipClassificationBatch]:
        clips = self._listed(split)
        return SamplesOneByOne(len(clips), ClipSamples(clips, self.reader, self.sampling, view, seed=seed), collate)

    def _listed(self, split: str) -> list[LabelledFile]:
        assert self.splits is not None, "setup() comes before the loaders"
        return self.splits[split]
