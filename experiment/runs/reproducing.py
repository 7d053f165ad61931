"""`runs.py reproduce`: says in what today's code and packages differ from a run's, runs it again, and compares."""

import json
import math
import os
import secrets
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from experiment.failures import EXIT_FAILED, EXIT_FINISHED, Refused
from experiment.provenance import PROJECT_DIR, git_state, package_versions
from experiment.run_directory import find_run
from experiment.runs.curves import read_curves
from experiment.runs.differences import Differences, differing
from experiment.runs.summaries import Summary, compared_config, outputs_dir, select, summary_of
from experiment.start import RUN_ID_VARIABLE

# Two float32 runs of other versions or hardware may differ by this much, relatively, and be the same result.
_CLOSE = 1e-3


def answer(arguments: Namespace) -> int:
    """The verdict's exit code: 0 if the metrics are the same."""
    original = summary_of(find_run(arguments.run, outputs_dir()))
    found = today(original)
    if not arguments.json:
        print(f"run {original['id']}: {_told(found) if found else 'code and versions are as they were'}")
    if arguments.check:
        if arguments.json:
            print(json.dumps({"run": original["id"], "differs": found}, indent=1))
        return EXIT_FINISHED if not found else EXIT_FAILED
    if original["status"] != "finished":
        raise Refused(f"run {original['id']} is {original['status']}, not finished: there is no result to reproduce")
    again = _run_again(original, quiet=arguments.json)
    found |= differing({"data": original["data_fingerprint"]}, {"data": again["data_fingerprint"]})
    configs = [compared_config(run) for run in (original, again)]
    found |= {key: values for key, values in differing(*configs).items() if key not in ("notes", "tags")}
    verdict = compare_metrics(original, again)
    if arguments.json:
        print(json.dumps({"run": original["id"], "again": again["id"], "differs": found, **verdict}, indent=1))
    else:
        print(f"\nagain as {again['id']}: {verdict['verdict']}")
        print(f"differs: {_told(found)}" if found else "commit, changes, versions, data and configuration are the same")
    return EXIT_FINISHED if verdict["is_reproduced"] else EXIT_FAILED


def today(original: Summary) -> Differences:
    """Of commit, uncommitted changes and package versions what is not as it was: then and now."""
    now = git_state()
    patch = Path(original["dir"]) / "diff.patch"
    then = {"commit": original["git"]["sha"], "changes": patch.read_text() if patch.exists() else ""}
    found = differing(then, {"commit": now["sha"], "changes": now["diff"] or ""})
    if "changes" in found:
        # Whole patches help nobody here.
        found["changes"] = [f"{len(str(text).splitlines())} lines of patch" for text in found["changes"]]
    return found | differing(original["versions"], package_versions())


def compare_metrics(original: Summary, again: Summary) -> dict[str, Any]:
    """Whether two runs logged the same values at the same steps, and if not where they part."""
    curves = [read_curves(Path(run["dir"])) for run in (original, again)]
    then, now = ({(p.step, name): p.value for name, points in found.items() for p in points} for found in curves)
    common = sorted(then.keys() & now.keys())
    if then.keys() != now.keys() or not common:
        steps = min((step for step, _ in then.keys() ^ now.keys()), default=0)
        return {"is_reproduced": False, "verdict": f"not reproduced: other metrics were logged, from step {steps} on"}
    unequal = [key for key in common if not _is_equal(then[key], now[key])]
    if not unequal:
        return {"is_reproduced": True, "verdict": f"reproduced exactly: all {len(common)} logged values are equal"}
    step, name = unequal[0]
    part = f"first at step {step}, {name}: {then[step, name]!r} then, {now[step, name]!r} now"
    worst = max(abs(then[key] - now[key]) / max(abs(then[key]), 1e-12) for key in unequal)
    if worst <= _CLOSE:
        return {"is_reproduced": True, "verdict": f"reproduced within {worst:.1e}, not exactly; {part}"}
    return {"is_reproduced": False, "verdict": f"not reproduced: {len(unequal)} of {len(common)} values differ; {part}"}


def _is_equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _run_again(original: Summary, *, quiet: bool) -> Summary:
    """The run's own command line in a new process, with what was changed when it was resumed."""
    overrides = [*original["overrides"]]
    for resumption in original["resumed"]:
        overrides += [change for change in resumption["overrides"] if not change.startswith("resume=")]
    run_id = f"{original['id']}-again-{secrets.token_hex(2)}"
    environment = {**os.environ, RUN_ID_VARIABLE: run_id}
    command = [sys.executable, "train.py", *overrides, f"notes='reproduces {original['id']}'"]
    output = subprocess.DEVNULL if quiet else None
    environment["FIRSTHAND_OUTPUTS"] = str(outputs_dir().absolute())
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, stdout=output, check=False)
    found = [run for run in select([]) if run["id"].endswith(run_id)]
    if done.returncode != 0 or not found:
        raise Refused(f"running it again ended with exit code {done.returncode}; its message stands above")
    return found[0]


def _told(found: Differences) -> str:
    return "; ".join(f"{key} was {then}, is {now}" for key, (then, now) in found.items())
