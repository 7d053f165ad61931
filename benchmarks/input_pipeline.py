"""Whether data keeps a step fed: samples a second of one core, and how much of a step waits for them.

Photographs are those of `FIRSTHAND_DATA`; without it only the experiments on generated data are measured.
"""

import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor
from torchvision import transforms as v1

from benchmarks.measuring import Figure, compare
from benchmarks.short_runs import compose, train_briefly
from datamodules.image_files import read_image
from datamodules.image_views import training_view
from experiment.quietness import quieten_libraries
from experiment.targets import instantiate_flat

ROUNDS = 9
NUM_PHOTOGRAPHS = 24
NUM_BATCHES = 3
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Steps of which the first meets cold caches, and which it therefore hides among.
NUM_STEPS = 20
EXPERIMENTS = {
    "vgg_digits": [],
    "ssd_voc_shapes": ["data.shapes.num_train=200"],
    "pspnet_voc_shapes": ["data.shapes.num_train=200"],
    "openpose_stick_figures": ["data.num_train=200"],
    "transformer_sentences": [],
}
# As published, on the genuine samples: what a core of a machine with GPUs has to do for a sample.
_VOC = [
    "data.devkit_dir=${paths.data_dir}/voc/VOCdevkit",
    "data.train_sets=[VOC2012/train]",
    "data.val_sets=[VOC2012/val]",
    "data.test_sets=[VOC2012/val]",
]
FULL_SIZE = {
    "vgg_ants_bees_finetune": [],
    "ssd300_voc": _VOC,
    "pspnet50_voc": _VOC,
    "openpose_coco": ["data.val_images=10"],
}


def _with_pil(files: Sequence[Path]) -> Callable[[], float]:
    """As most scripts do: PIL's images up to the end."""
    view = v1.Compose(
        [
            v1.RandomResizedCrop(224, scale=(0.5, 1.0)),
            v1.RandomHorizontalFlip(),
            v1.ToTensor(),
            v1.Normalize(MEAN, STD),
        ]
    )
    return lambda: _seconds(lambda file: view(Image.open(file).convert("RGB")), files)


def _our_view() -> Callable[[Tensor], Tensor]:
    return training_view(
        image_size=224, center_crop_fraction=0.875, mean=MEAN, std=STD, min_crop_area=0.5, flip_probability=0.5,
        color_jitter=0.0,
    )  # fmt: skip


def _ours(files: Sequence[Path]) -> Callable[[], float]:
    view = _our_view()
    return lambda: _seconds(lambda file: view(read_image(file, in_channels=3)), files)


def _kept(files: Sequence[Path]) -> Callable[[], float]:
    """Our view of images that are decoded once, as sets that fit into memory have them."""
    view = _our_view()
    images = [read_image(file, in_channels=3) for file in files]
    return lambda: _seconds(view, images)


def _seconds(show: Callable[[Any], object], samples: Sequence[Any]) -> float:
    """Of one sample."""
    random.seed(0)
    torch.manual_seed(0)
    started = time.process_time()
    for sample in samples:
        show(sample)
    return (time.process_time() - started) / len(samples)


def photographs() -> list[Figure]:
    """Seconds of one photograph on one core."""
    folder = Path(os.environ["FIRSTHAND_DATA"]) / "hymenoptera"
    files = sorted(folder.rglob("*.jpg"))
    files = files[:: max(1, len(files) // NUM_PHOTOGRAPHS)][:NUM_PHOTOGRAPHS]
    variants = {
        "PIL and torchvision's first transforms": _with_pil(files),
        "ours": _ours(files),
        "ours, decoded beforehand": _kept(files),
    }
    return compare(variants, rounds=ROUNDS)


def full_size(experiment: str, more: list[str]) -> Callable[[], float]:
    """Processor seconds of one training sample, from file to batch."""
    config = compose(f"experiment={experiment}", *more, "data.batch_size=4", "data.num_workers=0")
    settings: Any = OmegaConf.to_container(config, resolve=True)
    data = instantiate_flat(settings["data"])
    data.prepare_data()
    data.setup("fit")

    def seconds() -> float:
        started = time.process_time()
        num_batches = 0
        for num_batches, _ in enumerate(islice(data.train_dataloader(), NUM_BATCHES), start=1):  # noqa: B007 - counted
            pass
        return (time.process_time() - started) / (4 * num_batches)

    return seconds


def waiting(experiment: str, more: list[str], outputs: Path) -> Figure:
    """The share of a short training's steps that waits for data; its wall time beside it."""
    run = train_briefly(experiment, *more, "trainer.limit_val_batches=1", num_steps=NUM_STEPS, outputs=outputs)
    record = run.record()
    return Figure(variant=experiment, median_s=record["wall_time_s"], ratio=record["data_wait"])


def measure() -> dict[str, list[Figure]]:
    """On one thread."""
    quieten_libraries()
    torch.set_num_threads(1)
    figures = {}
    if "FIRSTHAND_DATA" in os.environ:
        figures["a photograph decoded, cropped to 224 pixels, normalised"] = photographs()
        readers = {experiment: full_size(experiment, more) for experiment, more in FULL_SIZE.items()}
        figures["a training sample of the published size, on one core"] = compare(readers, rounds=ROUNDS)
    nowhere = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(nowhere), redirect_stderr(nowhere):
        shares = [waiting(experiment, more, Path(folder)) for experiment, more in EXPERIMENTS.items()]
    return {**figures, "a run of 20 steps, and the share of them that waits for data": shares}


if __name__ == "__main__":
    for what, variants in measure().items():
        print(what, *variants, sep="\n  ")
