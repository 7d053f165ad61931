"""`make new-model NAME=mine LIKE=vgg`: a copy of a model under a name of its own, to be changed into another one.

It has a package, a model's and an experiment's configuration, a card and a test, and passes every test at once.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from experiment.failures import EXIT_FINISHED, EXIT_REFUSED, Refused
from experiment.locations import did_you_mean

PROJECT = Path(__file__).resolve().parent.parent
_TEST = '''"""{title}: what is particular to it."""

import torch
from omegaconf import OmegaConf

from experiment.targets import instantiate_flat
from tests.conftest import compose


def test_it_is_still_the_network_that_it_was_copied_from() -> None:
    networks = []
    for experiment in ("{experiment}", "{original}"):
        torch.manual_seed(0)
        settings = OmegaConf.to_container(compose(f"experiment={{experiment}}").model, resolve=True)
        networks.append(instantiate_flat(settings).network)
    copied, original = (network.state_dict() for network in networks)
    assert copied.keys() == original.keys()
    assert all(torch.equal(copied[name], value) for name, value in original.items())
'''
_CARD = """# {title}

Copied from [{like}](../{like}/README.md). What is another here, and why:

- nothing yet

    python train.py experiment={experiment}
"""


def new_model(stem: str, *, like: str, experiment: str | None, project: Path = PROJECT) -> list[Path]:
    """Write the copy; the files, all of them new.

    Args:
        stem: of the new model, as a Python module is called.
        like: a model of `conf/model`.
        experiment: of that model, to copy too; None takes the first by name, of those named after the model if any are.

    Raises:
        Refused: a name is taken, unknown, or no name for a module.
    """
    models = sorted(path.stem for path in (project / "conf" / "model").glob("*.yaml"))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", stem):
        raise Refused(f"'{stem}' is no name for a module; take small letters, digits and _, as in my_vgg")
    if stem in models or (project / "lightning_modules" / stem).exists():
        raise Refused(f"there is a model {stem} already; take another name")
    if like not in models:
        raise Refused(f"there is no model {like}{did_you_mean(like, models)} (there are: {', '.join(models)})")
    model_config = (project / "conf" / "model" / f"{like}.yaml").read_text()
    found = re.search(r"_target_: lightning_modules\.(\w+)\.module\.(\w+)", model_config)
    if found is None:
        raise Refused(f"conf/model/{like}.yaml builds upon another model's; copy that one")
    package, kind = found.groups()
    original = _experiment(project, like, wanted=experiment)
    name = f"{stem}_{original.removeprefix(f'{like}_')}"

    def renamed(text: str) -> str:
        text = re.sub(rf"\blightning_modules\.{package}\b", f"lightning_modules.{stem}", text)
        text = text.replace(f"override /model: {like}\n", f"override /model: {stem}\n").replace(original, name)
        return re.sub(rf"\b{kind}\b", _title(stem), text)

    written = {
        Path("lightning_modules") / stem / path.name: renamed(path.read_text())
        for path in (project / "lightning_modules" / package).glob("*.py")
    }
    written[Path("conf/model") / f"{stem}.yaml"] = renamed(model_config)
    # The default experiment's own command does not name it.
    text = re.sub(r"(#   .*train\.py)$", rf"\1 experiment={original}", _read_experiment(project, original), flags=re.M)
    written[Path("conf/experiment") / f"{name}.yaml"] = renamed(text)
    words = {"title": _title(stem), "experiment": name, "original": original, "like": package}
    written[Path("tests/lightning_modules") / f"test_{stem}.py"] = _TEST.format(**words)
    written[Path("lightning_modules") / stem / "README.md"] = _CARD.format(**words)
    if taken := [path for path in written if (project / path).exists()]:
        raise Refused(f"{taken[0]} is there already; take another name")
    for path, text in written.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    # The new name may sort elsewhere among the imports.
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        modules = [str(path) for path in written if path.suffix == ".py"]
        subprocess.run([sys.executable, "-m", "ruff", *command, *modules], cwd=project, check=True)
    return sorted(written)


def _experiment(project: Path, like: str, *, wanted: str | None) -> str:
    of_model = sorted(
        path.stem
        for path in (project / "conf" / "experiment").glob("*.yaml")
        if f"override /model: {like}\n" in path.read_text()
    )
    if wanted is None and of_model:
        return min(of_model, key=lambda name: (not name.startswith(f"{like}_"), name))
    if wanted in of_model:
        return str(wanted)
    raise Refused(f"{wanted} is no experiment of {like} (there are: {', '.join(of_model) or 'none'})")


def _read_experiment(project: Path, name: str) -> str:
    return (project / "conf" / "experiment" / f"{name}.yaml").read_text()


def _title(stem: str) -> str:
    return "".join(part.capitalize() for part in stem.split("_"))


def main() -> int:
    """Answer the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="make new-model", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--like", required=True)
    parser.add_argument("--experiment")
    arguments = parser.parse_args()
    try:
        files = new_model(arguments.name, like=arguments.like, experiment=arguments.experiment or None)
    except Refused as refusal:
        print(f"new-model: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    print("\n".join(map(str, files)))
    (experiment,) = (path.stem for path in files if path.parts[1] == "experiment")
    print(f"\ntrain it   python train.py experiment={experiment}")
    tests = f"tests/lightning_modules/test_{arguments.name}.py tests/test_contract.py -k {arguments.name}"
    print(f"test it    python -m pytest {tests}")
    return EXIT_FINISHED


if __name__ == "__main__":
    sys.exit(main())
