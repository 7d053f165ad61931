"""Metrics of a run's checkpoint on one of its splits."""

import json
from typing import Any

from experiment.contracts import EvaluatesSplits
from experiment.failures import Refused
from experiment.quietness import quieten_libraries
from experiment.restoring import prepare_data, quiet_trainer, restore
from experiment.run_directory import RunDirectory


def run_evaluation(request: dict[str, Any], run: RunDirectory) -> dict[str, float]:
    """Print and return `split/quantity` for every metric of the model.

    Raises:
        Refused: there is no such split, run or checkpoint.
    """
    quieten_libraries()
    restored = restore(request, run)
    trainer = quiet_trainer(request)
    data = restored.data
    if not isinstance(data, EvaluatesSplits):
        raise Refused(f"run {run.id}: {type(data).__name__} does not show its splits one by one")
    prepare_data(restored.data)
    # Metrics are those of test_step, whichever split it runs over, renamed accordingly.
    loader = data.evaluation_dataloader(request["split"])
    (results,) = trainer.test(restored.model, dataloaders=loader, verbose=False)
    metrics = {name.replace("test/", f"{request['split']}/", 1): value for name, value in results.items()}
    if trainer.is_global_zero:
        print(json.dumps({"run": run.id, "checkpoint": restored.checkpoint.name, "metrics": metrics}, indent=1))
    return metrics
