"""Run directories as training leaves them, made in a moment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CONFIG = """\
seed: {seed}
objective: val/accuracy
objective_mode: max
tags: []
notes: null
paths:
  data_dir: data
  run_dir: null
model:
  depth: {depth}
  optimizer: {pointer}
data:
  seed: {data_seed}
optim:
  lr: {lr}
  betas:
  - 0.9
  - 0.999
logger: null
"""


def make_run(
    outputs: Path,
    run_id: str,
    *,
    lr: float = 0.01,
    depth: int = 11,
    seed: int = 1,
    rows: Sequence[tuple[int, Mapping[str, float]]] = (),
    experiment: str = "vgg_digits",
    **record: Any,
) -> Path:
    """A finished run with a configuration, a record, and metrics at steps."""
    folder = outputs / experiment / run_id
    folder.mkdir(parents=True)
    composed = CONFIG.format(seed=seed, depth=depth, lr=lr, data_seed="${seed}", pointer="${optim}")
    resolved = CONFIG.format(seed=seed, depth=depth, lr=lr, data_seed=seed, pointer=f"\n    lr: {lr}")
    (folder / "config.yaml").write_text(composed)
    (folder / "config.resolved.yaml").write_text(resolved)
    metrics: dict[str, float] = {}
    for _, values in rows:
        metrics |= values
    lines = [json.dumps({"step": step, "epoch": step // 10, "metrics": dict(values)}) for step, values in rows]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    whole = {
        "id": run_id,
        "status": "finished",
        "experiment": experiment,
        "seed": seed,
        "started": "2026-01-02T03:04:05+00:00",
        "resumed": [],
        "overrides": [f"optim.lr={lr}", f"seed={seed}"],
        "argv": ["train.py"],
        "tags": [],
        "notes": None,
        "git": {"sha": "0" * 40, "is_dirty": False, "branch": "main", "untracked": []},
        "parent": None,
        "sweep": None,
        "wall_time_s": 12.0,
        "num_epochs": 2,
        "global_step": 20,
        "metrics": metrics,
        "data_fingerprint": "f" * 64,
        "error": None,
        "pid": 2**22 + 1,
        "host": "elsewhere",
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
        "hardware": {"cores": 2, "threads": 2, "gpus": []},
        **record,
    }
    (folder / "run.json").write_text(json.dumps(whole))
    return folder
