"""All benchmarks: `python -m benchmarks` writes `results/<date>-<host kind>.json` and prints a Markdown table."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

# Before torch is imported: comparisons run on one thread.
os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks import (
    anomaly_scores,
    engine,
    input_pipeline,
    metric_cost,
    openpose_decode_and_targets,
    past_runs,
    saving_stall,
    ssd_loss_and_decode,
    start_up,
    sweep_overhead,
    text_throughput,
    tracker_cost,
    trainer_overhead,
    video_decoding,
)
from experiment.provenance import git_state, hardware, package_versions

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure, write, print."""
    figures = {
        **trainer_overhead.measure(),
        **saving_stall.measure(),
        **start_up.measure(),
        **sweep_overhead.measure(),
        **tracker_cost.measure(),
        **past_runs.measure(),
        **ssd_loss_and_decode.measure(),
        **openpose_decode_and_targets.measure(),
        **engine.measure(),
        **text_throughput.measure(),
        **video_decoding.measure(),
        **anomaly_scores.measure(),
        **input_pipeline.measure(),
        **metric_cost.measure(),
    }
    state = hardware()
    kind = (
        state["gpus"][0].replace(" ", "-").lower() if state["gpus"] else f"{platform.machine()}-{state['cores']}cores"
    )
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python -m benchmarks",
        "hardware": state,
        "versions": package_versions(),
        "commit": git_state()["sha"],
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{result['date']}-{kind}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    print("| what | variant | median | ratio |\n| --- | --- | --- | --- |")
    for what, variants in figures.items():
        for figure in variants:
            print(f"| {what} | {figure['variant']} | {figure['median_s'] * 1e3:.1f} ms | {figure['ratio']:.3f} |")


if __name__ == "__main__":
    main()
