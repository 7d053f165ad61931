"""The recipes of docs/adapting.md are trainings: each takes an optimisation step and is evaluated."""

from pathlib import Path

import pytest
from PIL import Image

from tests.test_command_line import run
from tests.test_documented_commands import Command, commands

SHORT = (
    *("logger=none", "callbacks.progress_bar=null", "trainer.max_epochs=1", "trainer.limit_train_batches=1"),
    *("trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "data.batch_size=2"),
)
RECIPES = [command for command in commands("docs/adapting.md") if command.program == "train"]


def test_there_are_five() -> None:
    assert len(RECIPES) == 5


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_recipe_trains(recipe: Command, tmp_path: Path) -> None:
    words = list(recipe.words)
    if "experiment=ssd300_voc" in words:
        # The same network on generated shapes of its size, on a CPU.
        words.remove("trainer=gpu")
        at = words.index("experiment=ssd300_voc")
        words[at : at + 1] = ["~experiment", "model=ssd", "data=voc_shapes_detection", "data.image_size=300"]
        words.append("objective=val/map")
    if "data.folder=photos" in words:
        _two_classes(tmp_path / "photos")
        words[words.index("data.folder=photos")] = f"data.folder={tmp_path}/photos"
        words.append("model.weights=null")
    done = run("train.py", *words, *SHORT)
    assert done.returncode == 0, done.stderr


def _two_classes(folder: Path) -> None:
    for label, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir(parents=True)
        for index in range(12):
            Image.new("RGB", (64, 64), (label * 200, index * 20, 90)).save(folder / name / f"{index}.png")
