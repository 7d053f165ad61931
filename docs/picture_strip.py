"""The picture of predictions in the README: `python docs/picture_strip.py <run> ...` draws it anew from runs of yours.

A run for each experiment of `ROWS` is named by its id or directory. Every part is what `predict.py` draws for a file
that its network was not trained on: a sample of the test split, a review written here, or the photograph that comes
with scikit-learn, seen by a SqueezeNet with published weights.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sklearn
from PIL import Image, ImageDraw, ImageFont

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from experiment.restoring import restore  # noqa: E402
from experiment.run_directory import find_run  # noqa: E402
from experiment.runs.summaries import outputs_dir  # noqa: E402

WIDTH, GAP, TITLE_HEIGHT = 1200, 6, 22
REVIEW = (
    "I expected very little of this film, but the story is wonderful and the two old men who carry it are superb."
    " Only the music is a bit dull, and the last scene comes too late."
)
PHOTOGRAPH = Path(sklearn.__file__).parent / "datasets" / "images" / "china.jpg"


class Part(NamedTuple):
    """A picture of the strip.

    Args:
        experiment: of the run that predicts; None is `pretrained=imagenet`.
        inputs: a file, text to be written into one, a sample of the test split by its index of 20, or None for a model
            that needs no input.
        crop: the part shown: left, top, right and bottom as fractions of width and height.
    """

    title: str
    experiment: str | None
    inputs: Path | str | int | None
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


ROWS = [
    [
        Part("SSD: boxes", "ssd_voc_shapes", 0),
        Part("PSPNet: masks", "pspnet_voc_shapes", 0, (0.0, 0.0, 0.704, 1.0)),
        Part("OpenPose: skeletons", "openpose_stick_figures", 8),
        Part("DCGAN: digits that nobody wrote", "dcgan_mnist", None, (0.0, 0.0, 0.502, 0.502)),
    ],
    [
        Part("ECO: what moves where", "eco_moving_shapes", 3),
        Part("SqueezeNet: classes, and where it looked", None, PHOTOGRAPH),
    ],
    [
        Part("Efficient GAN: where a six is no eight", "efficient_gan_digits", 7),
        Part("Efficient GAN: where a zero is no eight", "efficient_gan_digits", 12),
    ],
    [Part("Transformer: which words count", "transformer_imdb", REVIEW, (0.0, 0.16, 1.0, 0.82))],
]


def predicted(part: Part, run: str | None, folder: Path) -> Image.Image:
    """What `predict.py` draws for a part."""
    words = ["pretrained=imagenet"] if run is None else [f"run={run}"]
    if part.inputs is not None:
        words.append(f"inputs={_file(part.inputs, run, folder)}")
    output = folder / "predictions"
    subprocess.run(
        [sys.executable, str(PROJECT / "predict.py"), *words, f"output_dir={output}"], check=True, stdout=sys.stderr
    )
    picture, *_ = sorted(output.glob("samples_0.png") if part.inputs is None else output.glob("*.png"))
    image = Image.open(picture).convert("RGB")
    left, top, right, bottom = part.crop
    return image.crop(
        (
            round(left * image.width),
            round(top * image.height),
            round(right * image.width),
            round(bottom * image.height),
        )
    )


def strip(rows: Sequence[Sequence[tuple[str, Image.Image]]]) -> Image.Image:
    """Titled pictures in rows of one width; those of a row have one height."""
    font = ImageFont.load_default(size=15)
    heights = [
        round((WIDTH - GAP * (len(row) - 1)) / sum(image.width / image.height for _, image in row)) for row in rows
    ]
    sheet = Image.new("RGB", (WIDTH, sum(heights) + len(rows) * (TITLE_HEIGHT + GAP) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for title, image in row:
            draw.text((left + 1, top), title, fill="#333333", font=font)
            scaled = image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS)
            sheet.paste(scaled, (left, top + TITLE_HEIGHT))
            left += scaled.width + GAP
        top += TITLE_HEIGHT + height + GAP
    return sheet


def _file(inputs: Path | str | int, run: str | None, folder: Path) -> Path:
    if isinstance(inputs, Path):
        return inputs
    if isinstance(inputs, str):
        file = folder / "review.txt"
        file.write_text(inputs)
        return file
    assert run is not None, "a sample is one of a run's data"
    data: Any = restore({"run": run, "checkpoint": "best"}, find_run(run, outputs_dir())).data
    data.prepare_data()
    data.setup("test")
    return Path(data.sample_files("test", count=20, folder=folder)[inputs])


def main(named: Sequence[str]) -> None:
    """Draw the strip from the runs that are named."""
    found = [find_run(name, outputs_dir()) for name in named]
    runs = {run.record()["experiment"]: str(run.path) for run in found}
    needed = {part.experiment for row in ROWS for part in row} - {None}
    if missing := needed - set(runs):
        raise SystemExit(f"picture_strip.py: name a run of each of {', '.join(sorted(map(str, missing)))} too")
    with tempfile.TemporaryDirectory() as folder:
        rows: list[list[tuple[str, Image.Image]]] = []
        for number, row in enumerate(ROWS):
            rows.append([])
            for index, part in enumerate(row):
                place = Path(folder) / f"{number}_{index}"
                place.mkdir()
                run = None if part.experiment is None else runs[part.experiment]
                rows[-1].append((part.title, predicted(part, run, place)))
        picture = strip(rows)
    # Below 300 kB, and shades are kept: a palette chosen by how often a colour occurs loses those of the heat maps.
    palette = picture.quantize(method=Image.Quantize.FASTOCTREE)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(
        PROJECT / "docs" / "predictions.png", optimize=True
    )


if __name__ == "__main__":
    main(sys.argv[1:])
