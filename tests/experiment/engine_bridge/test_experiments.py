"""Every experiment runs on the engine: the same loss and gradients, and the option that chooses it."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from experiment import training
from experiment.engine_bridge.recording import from_scratch
from experiment.engine_bridge.training_steps import in_torchs_graph
from experiment.entry import CONF_DIR
from experiment.failures import Refused
from experiment.preflight import Origin, refuse_problems
from tests.conftest import MakeRequest, compose
from tests.contract_tables import ONE_BATCH_AN_EPOCH
from tests.test_contract import SHORT, every_experiment, parts, total

__all__ = ["parts"]  # a fixture
# Experiments that call what the engine has no derivative of, with its name; none is the aim.
LACKING: dict[str, str] = {}


def _make_float64_the_default(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(torch.set_default_dtype, torch.get_default_dtype()))
    torch.set_default_dtype(torch.float64)


@every_experiment
def test_an_experiments_loss_and_gradients_are_torchs(experiment: str, request: pytest.FixtureRequest) -> None:
    parts = request.getfixturevalue("parts")
    theirs = parts.model.double()
    # As Lightning does for a step under 64-true: what a network draws by itself is float64 too.
    _make_float64_the_default(request)
    batch = tree_map_only(Tensor, lambda x: x.double() if x.is_floating_point() else x, parts.batch)
    ours = copy.deepcopy(theirs)
    torch.manual_seed(1)
    expected = total(theirs._step(batch, "train"))
    expected.backward()
    torch.manual_seed(1)
    with from_scratch() as recording:
        found = total(ours._step(batch, "train"))
    found = in_torchs_graph(recording, found)
    if experiment in LACKING:
        with pytest.raises(NotImplementedError, match=LACKING[experiment]):
            found.backward()
        return
    found.backward()
    # Some losses convert to float32, whose rounding errors are 1e-7 of the largest gradient.
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, parameter in ours.named_parameters():
        assert (parameter.grad is None) == (name not in gradients), name
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-6, atol=1e-6 * largest, msg=name)
    buffers = dict(theirs.named_buffers())
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=1e-6, atol=1e-6, msg=name)


@every_experiment
def test_an_experiment_trains_under_both_engines(experiment: str, make_request: MakeRequest) -> None:
    losses = []
    # Of five batches.
    length = (
        ("trainer.max_epochs=3", "trainer.max_steps=5")
        if experiment in ONE_BATCH_AN_EPOCH
        else ("trainer.max_epochs=1",)
    )
    for engine in ("torch", "scratch"):
        request = make_request(
            *SHORT,
            *length,
            # In float32 Adam makes large differences of rounding errors.
            "trainer.precision=64-true",
            "data.batch_size=4",
            f"model.engine={engine}",
            experiment=experiment,
        )
        training.run_training(request)
        assert request.run.record()["status"] == "finished"
        losses.append([row["metrics"] for row in request.run.metric_rows()])
    theirs, ours = (
        [value for metrics in rows for name, value in metrics.items() if name.endswith("_step")] for rows in losses
    )
    assert len(ours) == len(theirs) >= 5
    # Some losses convert to float32.
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_the_option_takes_one_of_the_two_engines() -> None:
    origin = Origin(CONF_DIR, {}, [])
    assert refuse_problems(compose("model.engine=scratch"), origin)["model"]["engine"] == "scratch"
    with pytest.raises(Refused, match=r"model\.engine='own' does not fit; it takes one of torch, scratch"):
        refuse_problems(compose("model.engine=own"), origin)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("compile=true",), "compile=true compiles for torch's own"),
        (("trainer=fsdp",), r"trainer\.strategy=fsdp gathers"),
        (("trainer.sync_batchnorm=true",), r"trainer\.sync_batchnorm=true puts"),
    ],
)
def test_what_the_engine_cannot_go_with_is_refused_before_the_start(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refused, match=message):
        refuse_problems(compose("model.engine=scratch", *overrides), Origin(CONF_DIR, {}, []))
    refuse_problems(compose(*overrides), Origin(CONF_DIR, {}, []))
