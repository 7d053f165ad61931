"""A run's checkpoint or a pretrained network over the user's files: a picture for each, all predictions as JSON."""

import glob
import json
from collections.abc import Iterable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from experiment.contracts import (
    AnimatesPredictions,
    DrawsInterpolations,
    DrawsPredictions,
    ReadsFiles,
    SlidesWindows,
    WritesPage,
)
from experiment.failures import Refused
from experiment.quietness import quieten_libraries
from experiment.restoring import build_pretrained, quiet_trainer, restore
from experiment.run_directory import RunDirectory, replacing, short_path
from lightning_modules.video_pictures import Animation


def run_prediction(request: dict[str, Any], run: RunDirectory | None) -> Path:
    """Write what is predicted for every input as a picture, all of it as JSON; returns their folder.

    `<name>.png`, `<name>.gif` too for a video, `predictions.json`, and `predictions.html` if the model has a page.
    Without inputs, of a model that needs none, samples and interpolations.

    Args:
        run: None predicts with the pretrained network that the request describes.

    Raises:
        Refused: no file was found, one is no image, or there is no such run or checkpoint.
    """
    quieten_libraries()
    if request["inputs"] is None:
        return _draw_from_nothing(request, run)
    paths = find_inputs(str(request["inputs"]))
    if run is None:
        model, data, report = build_pretrained(request)
        name, default_folder = str(report), Path("predictions")
    else:
        _, model, data = restore(request, run)
        name, default_folder = run.id, run.path / "predictions"
    predict = partial(quiet_trainer(request).predict, model)
    if not isinstance(model, DrawsPredictions) or not isinstance(data, ReadsFiles):
        raise Refused(f"{name}: {type(model).__name__} with {type(data).__name__} does not predict files")
    folder = Path(request["output_dir"]) if request["output_dir"] is not None else default_folder
    picture_names = _picture_names(paths)
    animation_names = [f"{Path(name).stem}.gif" for name in picture_names]
    tables = ("predictions.json", "predictions.html")
    written = {(folder / name).resolve() for name in (*picture_names, *animation_names, *tables)}
    if overwritten := sorted(str(path) for path in paths if path.resolve() in written):
        raise Refused(f"{overwritten[0]} would be overwritten by a prediction; choose another output_dir")
    try:
        _slide_windows_(data, request)
        batches: Any = predict(dataloaders=data.files_dataloader(paths))
    except ValueError as error:
        raise Refused(str(error)) from error
    predictions = [prediction for batch in batches for prediction in batch]
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for path, prediction, picture_name, animation_name in zip(
        paths, predictions, picture_names, animation_names, strict=True
    ):
        model.draw(path, prediction, data.class_names).save(folder / picture_name)
        entry = {"file": str(path), "picture": picture_name, "prediction": prediction}
        if isinstance(model, AnimatesPredictions):
            _write_animation(folder / animation_name, model.animate(path, prediction, data.class_names))
            entry["animation"] = animation_name
        entries.append(entry)
    if isinstance(model, WritesPage):
        with replacing(folder / "predictions.html") as stream:
            stream.write(model.page(paths, predictions, data.class_names).encode())
    with replacing(folder / "predictions.json") as stream:
        stream.write((json.dumps({"run": name, "predictions": entries}, indent=1) + "\n").encode())
    print(f"{len(entries)} predictions in {short_path(folder)}")
    return folder


def _slide_windows_(data: ReadsFiles, request: dict[str, Any]) -> None:
    windows = {name: request.get(name) for name in ("window_s", "hop_s")}
    if all(seconds is None for seconds in windows.values()):
        return
    if not isinstance(data, SlidesWindows):
        raise Refused(f"{windows} has no effect on files of {type(data).__name__}; leave it out")
    data.slide_windows_(**windows)


def _draw_from_nothing(request: dict[str, Any], run: RunDirectory | None) -> Path:
    """Samples and interpolations of a model that needs no input."""
    model = restore(request, run).model if run is not None else None
    if run is None or not isinstance(model, DrawsInterpolations):
        name = type(model).__name__ if model is not None else "a pretrained network"
        raise Refused(f"{name} predicts files; give inputs=<a file, a folder or a pattern>")
    if request["samples"] < 1:
        raise Refused(f"samples={request['samples']} is a number of rows; take 1 or more")
    folder = Path(request["output_dir"]) if request["output_dir"] is not None else run.path / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    with torch.inference_mode():
        for index, picture in enumerate(model.draw_samples(count=request["samples"])):
            picture.save(folder / f"samples_{index}.png")
        model.draw_interpolations(count=request["samples"], seed=request["seed"]).save(folder / "interpolations.png")
    print(f"samples and interpolations in {short_path(folder)}")
    return folder


def find_inputs(inputs: str) -> list[Path]:
    """The files that a path, a folder or a pattern names, sorted; hidden ones (.DS_Store) are left out.

    Of a folder its own files, or if it has none, as a folder of classes, those in the folders below.

    Raises:
        Refused: there are none.
    """
    path = Path(inputs)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = _files_among(path.iterdir()) or _files_among(path.rglob("*"))
    else:
        files = _files_among(Path(name) for name in glob.glob(inputs, recursive=True))  # noqa: PTH207 - an absolute pattern
    if not files:
        raise Refused(f"inputs={inputs}: there is no such file, folder or match; give one, a pattern in quotes")
    return files


def _files_among(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file() and not path.name.startswith("."))


def _write_animation(file: Path, animation: Animation) -> None:
    """A GIF that begins again at its end; the format counts hundredths of a second."""
    first, *others = animation.frames
    hundredths = max(2, round(animation.seconds_per_frame * 100))
    first.save(file, save_all=True, append_images=others, duration=hundredths * 10, loop=0)


def _picture_names(paths: list[Path]) -> list[str]:
    """A name for each file's picture, different from every other's: its own, numbered where that is taken."""
    names: list[str] = []
    for path in paths:
        candidates = (f"{path.stem}.png" if number == 1 else f"{path.stem}_{number}.png" for number in count(1))
        names.append(next(name for name in candidates if name not in names))
    return names
