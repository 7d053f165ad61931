"""Options that every model takes or is refused with a reason; the cheapest are in tests/test_contract.py."""

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config as inductor_config

from experiment import training
from experiment.failures import Refused
from tests.conftest import MakeRequest
from tests.contract_tables import ADVERSARIAL, NEEDS_REAL_DATA, one_of_each_model
from tests.test_contract import SHORT, assert_interruption_changes_nothing, every_experiment, final_state

ONE_OF_EACH_MODEL = [
    pytest.param(name, marks=[pytest.mark.real_data] if name in NEEDS_REAL_DATA else [])
    for name in one_of_each_model().values()
]


@every_experiment
def test_a_mean_of_the_weights_goes_with_every_model(
    experiment: str, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    mean = "callbacks.averaged_weights.decay=0.9"
    if experiment in ADVERSARIAL:
        with pytest.raises(Refused, match="averages its weights itself"):
            training.run_training(make_request(mean, experiment=experiment))
        return
    run = assert_interruption_changes_nothing(make_request, monkeypatch, mean, experiment=experiment, step=7)
    state = final_state(run)
    of_training = state["weights_of_training"]
    assert any(not torch.equal(value, state["state_dict"][name]) for name, value in of_training.items())


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ONE_OF_EACH_MODEL)
def test_a_compiled_model_has_the_same_losses(experiment: str, make_request: MakeRequest) -> None:
    torch._dynamo.reset()
    counters.clear()
    few = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    # Compiled bfloat16 rounds less often.
    same = ("model.engine=torch", "trainer.precision=32-true", "callbacks.validation_pictures=null")
    rows = []
    for option in ("compile=false", "compile=true"):
        request = make_request(*SHORT, *few, *same, option, experiment=experiment)
        # Else compiled dropout draws numbers of its own.
        with inductor_config.patch(fallback_random=True):
            training.run_training(request)
        rows.append(request.run.metric_rows())
    # A network whose parts are called one by one would be compiled in vain.
    assert counters["stats"]["unique_graphs"] > 0
    # The first of each is of the same weights and batch.
    expected, found = (
        {name: value for row in reversed(of_run) for name, value in row["metrics"].items() if name.endswith("_step")}
        for of_run in rows
    )
    assert expected
    # Other orders of the same sums, and batch norm over few samples.
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)
