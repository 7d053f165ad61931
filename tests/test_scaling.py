"""docs/scaling.md says what benchmarks/scaling.py computes, and that computes what it says."""

import math

import pytest

from benchmarks import scaling
from benchmarks.scaling import Load
from experiment.entry import CONF_DIR


@pytest.mark.slow
def test_the_document_has_the_computed_table() -> None:
    assert scaling.table() in (CONF_DIR.parent / "docs" / "scaling.md").read_text()


def test_operations_of_a_step_are_those_that_vgg16_is_known_for() -> None:
    # 15.5 G multiplications, as many additions, three passes.
    load = scaling.load_of("vgg_ants_bees_finetune")
    assert load.operations == pytest.approx(3 * 2 * 15.5e9, rel=0.01)
    # 138,357,544 with 1,000 classes; here are two.
    assert load.num_weights == 138_357_544 - 998 * 4097


def test_a_ring_sends_nearly_twice_the_gradients_however_many_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "LATENCY_S", 0.0)
    bandwidth = scaling.LINK_UTILISATION * scaling.ETHERNET
    for num_gpus in (16, 64):
        # Literally: each round everyone sends a chunk to a neighbour, in two sweeps that leave one's own out.
        rounds = [1e9 / num_gpus / bandwidth for _ in range(2) for _ in range(num_gpus - 1)]
        seconds = scaling.all_reduce_s(1e9, num_gpus, between_machines=scaling.ETHERNET)
        assert seconds == pytest.approx(math.fsum(rounds))
    within = scaling.all_reduce_s(1e9, 8, between_machines=scaling.ETHERNET)
    assert within == pytest.approx(2 * 7 / 8 * 1e9 / (scaling.LINK_UTILISATION * scaling.NVLINK))


def test_what_hides_behind_the_backward_pass_costs_nothing_but_the_last_bucket() -> None:
    long, short = Load(10_000_000, 1e15, 1), Load(10_000_000, 1e9, 1)
    last = scaling.all_reduce_s(scaling.LAST_BUCKET, 8, between_machines=scaling.INFINIBAND)
    of_long, of_short = (scaling.ddp_efficiency(load, 8, between_machines=scaling.INFINIBAND) for load in (long, short))
    assert of_long == pytest.approx(long.step_s / (long.step_s + last))
    assert of_short < 0.1


def test_a_core_that_reads_too_slowly_is_what_runs_short() -> None:
    load = Load(1_000_000, 1e12, 32)
    per_s = load.batch_size / load.step_s
    assert scaling.first_to_saturate(load, samples_per_core_s=per_s) == "nothing"
    assert scaling.first_to_saturate(load, samples_per_core_s=per_s / scaling.CORES / 2) == "cores"
