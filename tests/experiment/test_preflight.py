"""The preflight against mistakes made by machine, over every experiment."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from omegaconf import DictConfig, OmegaConf

from experiment import targets
from experiment.component_checks import Problem
from experiment.entry import CONF_DIR
from experiment.failures import Refused
from experiment.pairing import batch_given, batch_taken
from experiment.preflight import Origin, check_run, refuse_problems
from tests.conftest import EXPERIMENTS, compose

# Long enough that a slip of a letter leaves no doubt what was meant, and not a reference to another group.
_SHORTEST_KEY = 4


class Mutation(NamedTuple):
    """A mistake: the key it is put at, the value, and what the answer must mention."""

    kind: str
    key: str
    value: Any
    expected: str


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _misspelt(name: str, rng: random.Random) -> str:
    """The name with a letter left out, two exchanged, or one twice."""
    place = rng.randrange(1, len(name) - 1)
    left_out = name[:place] + name[place + 1 :]
    exchanged = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    doubled = name[:place] + name[place] + name[place:]
    return rng.choice([wrong for wrong in (left_out, exchanged, doubled) if wrong != name])


def _mutations(config: DictConfig, rng: random.Random) -> Iterator[Mutation]:
    raw = dict(_leaves(OmegaConf.to_container(config, resolve=False)))
    resolved = dict(_leaves(OmegaConf.to_container(config, resolve=True)))
    for key in sorted(raw.keys() & resolved.keys()):
        value = resolved[key]
        parent, _, name = key.rpartition(".")
        if name == "_target_":
            yield Mutation("unlisted target", key, "os.system", "os.system is not allowed")
            module, _, kind = str(value).rpartition(".")
            yield Mutation("misspelt target", key, f"{module}.{_misspelt(kind, rng)}", f"did you mean {value}?")
            continue
        if len(name) >= _SHORTEST_KEY:
            wrong = _misspelt(name, rng)
            if wrong not in (other.rpartition(".")[2] for other in resolved):
                yield Mutation("misspelt key", f"{parent}.{wrong}".lstrip("."), value, f"did you mean {key}?")
        if isinstance(raw[key], str) and raw[key].startswith("${"):
            continue
        yield Mutation("missing value", key, "???", f"{key} must be given")
        if isinstance(value, bool | int | float):
            yield Mutation("wrong type", key, "plenty", f"{key}='plenty' does not fit")
    for group in ("model", "data", "trainer", "optim"):
        yield Mutation("extra key", f"{group}.zzz", 1, f"{group}.zzz is unknown")
        yield Mutation("reserved key", f"{group}._partial_", True, f"{group}._partial_ is not allowed")
    # Only what both state can disagree.
    for name in sorted({"num_classes", "in_channels"} & set(config.model) & set(config.data)):
        yield Mutation("model and data disagree", f"model.{name}", 17, f"leave model.{name} to follow the data")


def _answer(config: DictConfig, mutation: Mutation) -> list[Problem]:
    mutated = config.copy()
    OmegaConf.update(mutated, mutation.key, mutation.value, force_add=True)
    return check_run(mutated)[1]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_nothing_is_wrong_with_a_shipped_experiment(experiment: str) -> None:
    config = compose(f"experiment={experiment}")
    assert refuse_problems(config, Origin(CONF_DIR, {}, []))["model"]


@pytest.mark.parametrize("group", ["trainer", "logger", "debug", "optim"])
def test_nothing_is_wrong_with_any_option_of_a_group(group: str) -> None:
    for option in sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml") if path.stem != "default"):
        _, problems = check_run(compose(f"{group}={option}"))
        assert not problems, option


def test_95_of_100_mistakes_are_caught_with_the_right_suggestion() -> None:
    rng = random.Random(0)
    caught: dict[str, list[bool]] = {}
    missed = []
    for experiment in EXPERIMENTS:
        config = compose(f"experiment={experiment}")
        for mutation in _mutations(config, rng):
            messages = [problem.message for problem in _answer(config, mutation)]
            is_caught = any(mutation.expected in message for message in messages)
            caught.setdefault(mutation.kind, []).append(is_caught)
            if not is_caught:
                missed.append((experiment, mutation, messages))
    total = sum(len(results) for results in caught.values())
    assert total >= 100
    assert len(caught) == 8
    rate = {kind: sum(results) / len(results) for kind, results in caught.items()}
    assert min(rate.values()) >= 0.95, (rate, missed)


def test_an_extra_key_in_an_experiments_file_is_told_with_file_and_line(tmp_path: Path) -> None:
    conf_dir = tmp_path / "conf"
    (conf_dir / "experiment").mkdir(parents=True)
    (conf_dir / "experiment" / "mine.yaml").write_text("# @package _global_\n\ntrainer:\n  max_epochz: 3\n")
    config = compose()
    OmegaConf.update(config, "trainer.max_epochz", 3, force_add=True)
    with pytest.raises(
        Refused, match=r"^conf/experiment/mine.yaml:4: trainer.max_epochz is unknown; did you mean trainer"
    ):
        refuse_problems(config, Origin(conf_dir, {"experiment": "mine"}, []))


def test_a_key_that_a_file_inherits_is_told_with_the_parents_line() -> None:
    config = compose()
    config.trainer.precision = 33
    choices = {"trainer": "cpu"}
    with pytest.raises(Refused, match=r"^conf/trainer/default.yaml:\d+: trainer.precision=33 does not fit"):
        refuse_problems(config, Origin(CONF_DIR, choices, []))


def test_a_mistake_behind_a_pointer_is_told_once() -> None:
    config = compose()
    config.optim.lr = "fast"
    _, problems = check_run(config)
    assert [problem.key for problem in problems] == [("optim", "lr")]


def test_a_model_and_data_of_different_batch_types_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = (targets.Allowed("tests.experiment.text_pair."), *targets._ALLOWED)
    monkeypatch.setattr(targets, "_ALLOWED", allowed)
    config = compose()
    config.model = {"_target_": "tests.experiment.text_pair.TextClassifier", "num_classes": 10}
    _, problems = check_run(config)
    assert (
        "takes batches of type TextBatch, but data=datamodules.digits.DigitsDataModule gives Image"
        in problems[0].message
    )


def test_the_kind_of_batch_is_read_from_annotations() -> None:
    assert batch_taken("lightning_modules.vgg.module.VGGClassifier") == "ImageClassificationBatch"
    assert batch_given("datamodules.digits.DigitsDataModule") == "ImageClassificationBatch"
    assert batch_taken("tests.experiment.text_pair.TextClassifier") == "TextBatch"


def test_a_class_that_takes_no_batch_is_no_model() -> None:
    config = compose()
    config.model = {"_target_": "torch.nn.Identity"}
    _, problems = check_run(config)
    assert "model=torch.nn.Identity is no model" in problems[0].message


def test_an_outputs_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = compose(f"paths.outputs_dir={tmp_path / 'file'}")
    _, problems = check_run(config)
    assert "is not a folder" in problems[0].message
