"""What the machinery asks of models and data modules beyond Lightning's own hooks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image
from torch.utils.data import DataLoader

from lightning_modules.pretrained import LoadingReport
from lightning_modules.video_pictures import Animation


@runtime_checkable
class DrawsPredictions(Protocol):
    """A model whose `predict_step` returns a list of plain values, one for each sample, and that can show them."""

    def draw(self, file: Path, prediction: Any, class_names: list[str]) -> Image.Image:
        """The user's file with a prediction drawn on or beside it."""
        ...


@runtime_checkable
class WritesPage(Protocol):
    """A model that can show predictions as one HTML document beside the pictures."""

    def page(self, files: list[Path], predictions: list[Any], class_names: list[str]) -> str:
        """A document that needs no other file."""
        ...


@runtime_checkable
class AnimatesPredictions(DrawsPredictions, Protocol):
    """A model for videos, whose predictions are also shown over the running video."""

    def animate(self, file: Path, prediction: Any, class_names: list[str]) -> Animation:
        """The user's video with what is predicted at each moment."""
        ...


@runtime_checkable
class ReadsFiles(Protocol):
    """A data module that brings a user's files into the form that its model takes."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their indices."""
        ...

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[Any]:
        """Batches of the files, in the order given; a file that cannot be read is a ValueError that names it."""
        ...


@runtime_checkable
class SlidesWindows(Protocol):
    """A data module for videos, of which it can make windows one after the other."""

    def slide_windows_(self, *, window_s: float | None, hop_s: float | None) -> None:
        """From now on files have windows of so many seconds, each so many seconds after the one before.

        Raises:
            ValueError: only one of the two is given, or it is not above 0.
        """
        ...


@runtime_checkable
class DrawsSamples(Protocol):
    """A model that makes pictures from nothing; always of the same random numbers, so that epochs compare."""

    def draw_samples(self, *, count: int) -> list[Image.Image]:
        """Pictures of what it makes now."""
        ...


@runtime_checkable
class DrawsInterpolations(DrawsSamples, Protocol):
    """A model that can go from one of its pictures to another by small steps."""

    def draw_interpolations(self, *, count: int, seed: int) -> Image.Image:
        """So many ways, each in a row; others for another seed."""
        ...


@runtime_checkable
class HasSampleFiles(ReadsFiles, Protocol):
    """A data module that can show some of its samples as files that `files_dataloader` reads."""

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Files of up to `count` samples, spread over a split; a set that has no files writes them into the folder."""
        ...


@runtime_checkable
class EvaluatesSplits(Protocol):
    """A data module that shows every sample of a split (train, val or test) once, without augmentation."""

    def evaluation_dataloader(self, split: str) -> DataLoader[Any]:
        """Batches of a split."""
        ...


@runtime_checkable
class HasFingerprint(Protocol):
    """A data module that can say, once it is set up, which data it holds."""

    def fingerprint(self) -> str:
        """A hash that changes with the data."""
        ...


@runtime_checkable
class ListsContents(Protocol):
    """A data module that can say, once it is set up, what it holds."""

    def contents(self) -> dict[str, Any]:
        """Plain values for the run's record, such as the number of images of each class."""
        ...


@runtime_checkable
class StartsFromWeights(Protocol):
    """A model that a new run may start from weights trained elsewhere.

    Its constructor does not load them: a run that goes on, is evaluated or predicts has weights of its own.
    """

    def load_pretrained_weights(self) -> LoadingReport | None:
        """What was loaded and what was not; None if the configuration names no weights.

        Raises:
            OSError, ValueError: there are no such weights, or they are not this network's.
        """
        ...
