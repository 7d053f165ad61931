"""What a comparison of runs shows, as plain values: for the terminal, the HTML report and the live dashboard."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiment.runs.curves import best_values, direction_of, read_curves
from experiment.runs.differences import differing
from experiment.runs.summaries import Summary, changes_of, compared_config, config_of, short_names

Comparison = dict[str, Any]
# What a browser draws without delay; of longer curves every n-th point is kept, and the last.
MOST_POINTS = 2000


def compare(runs: Sequence[Summary]) -> Comparison:
    """Runs, curves, configurations (keys that differ first) and provenance of runs beside each other."""
    configs = [config_of(run) for run in runs]
    curves = [read_curves(Path(run["dir"])) for run in runs]
    entries = []
    for run, name, config in zip(runs, short_names(runs), configs, strict=True):
        best = best_values(Path(run["dir"]), config)
        entries.append(
            {
                **{
                    key: run[key] for key in ("id", "experiment", "status", "error", "seed", "sweep", "tags", "started")
                },
                "name": name,
                "num_epochs": run["num_epochs"],
                "seconds": run["wall_time_s"],
                "num_resumed": len(run["resumed"]),
                "changes": changes_of(run),
                "metrics": {key: _finite(value) for key, value in sorted(run["metrics"].items())},
                "best": {metric: point._asdict() for metric, point in best.items()},
            }
        )
    metrics = sorted({metric for found in curves for metric in found}, key=_order)
    flat_configs = [compared_config(run) for run in runs]
    differing_keys, same_keys = _split(flat_configs)
    return {
        "runs": entries,
        "metrics": metrics,
        "directions": {metric: direction_of(metric, configs[0]) for metric in metrics} if configs else {},
        "objective": configs[0]["objective"] if configs else None,
        "curves": {metric: [_thinned(found.get(metric, [])) for found in curves] for metric in metrics},
        "config": {
            "differing": {key: [config.get(key) for config in flat_configs] for key in differing_keys},
            "same": {key: flat_configs[0][key] for key in same_keys},
        },
        "provenance": _provenance(runs),
    }


def _order(metric: str) -> tuple[int, str]:
    """Validation first: it says how good a model is; then training, then what has no split."""
    split = metric.partition("/")[0]
    return {"val": 0, "train": 1, "test": 2}.get(split, 3), metric


def _thinned(points: Sequence[Any]) -> dict[str, list[Any]]:
    every = math.ceil(len(points) / MOST_POINTS) or 1
    kept = [*points[::every], *([points[-1]] if points and (len(points) - 1) % every else [])]
    return {
        "step": [point.step for point in kept],
        "epoch": [point.epoch for point in kept],
        "value": [_finite(point.value) for point in kept],
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _split(configs: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Keys under which not all configurations have the same value, and the others."""
    keys = list(dict.fromkeys(key for config in configs for key in config))
    differing_keys = [key for key in keys if any(key not in c or c[key] != configs[0].get(key) for c in configs)]
    return differing_keys, [key for key in keys if key not in differing_keys]


def _provenance(runs: Sequence[Summary]) -> dict[str, list[Any]]:
    """Code, versions, hardware and data, where they are not the same for all runs."""
    facts = [
        {
            "commit": (run["git"]["sha"] or "none")[:10] + (" with changes" if run["git"]["is_dirty"] else ""),
            "data fingerprint": (run["data_fingerprint"] or "none")[:10],
            **{f"version of {name}": version for name, version in run["versions"].items()},
            **{f"hardware: {name}": value for name, value in run["hardware"].items()},
        }
        for run in runs
    ]
    if not facts:
        return {}
    keys = list(dict.fromkeys(key for other in facts[1:] for key in differing(facts[0], other)))
    return {key: [fact.get(key) for fact in facts] for key in keys}
