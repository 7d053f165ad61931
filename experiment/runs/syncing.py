"""`runs.py sync`: uploads to W&B what was recorded on disk, after mending what a kill left."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from experiment.failures import EXIT_FAILED, EXIT_FINISHED, Refused
from experiment.runs.summaries import outputs_dir, select, select_named
from experiment.trackers.wandb_files import has_api_key, is_empty, recordings, repair


def answer(arguments: Namespace) -> int:
    """Mend and upload the recordings of all runs, or of those named, that are not uploaded yet."""
    runs = select_named(arguments.runs) if arguments.runs else select([])
    # Those of a run that goes on are still written to; sync them at its end.
    ended = [run for run in runs if run["status"] != "running"]
    folders = [folder for run in ended for folder in recordings(outputs_dir(), run["id"])]
    waiting = [folder for folder in folders if _is_waiting(folder, include_online=arguments.include_online)]
    for folder in waiting if not arguments.check else []:
        for file in folder.glob("*.wandb"):
            if cut := repair(file):
                print(f"{folder.name}: cut {cut} bytes of a record that a kill left half written")
    empty = [folder for folder in waiting if all(is_empty(file) for file in folder.glob("*.wandb"))]
    for folder in empty:
        print(f"{folder.name}: a kill came before anything was written; W&B hears of it when the run is resumed")
    waiting = [folder for folder in waiting if folder not in empty]
    if not waiting:
        print(f"nothing to upload of {len(runs)} runs")
        return EXIT_FINISHED
    if arguments.check:
        print("\n".join(str(folder) for folder in waiting))
        return EXIT_FINISHED
    if not has_api_key():
        raise Refused("no API key of W&B is known on this machine; type wandb login, or set WANDB_API_KEY")
    # In the order of their starts: a resumed run's second part is appended to its first.
    options = ["--include-online"] if arguments.include_online else []
    command = [
        sys.executable,
        "-m",
        "wandb",
        "sync",
        "--yes",
        *options,
        *(str(folder.absolute()) for folder in waiting),
    ]
    # Where it may leave its own logs.
    done = subprocess.run(command, cwd=outputs_dir(), check=False)
    return EXIT_FINISHED if done.returncode == 0 else EXIT_FAILED


def _is_waiting(folder: Path, *, include_online: bool) -> bool:
    is_synced = any(folder.glob("*.wandb.synced"))
    return not is_synced and (include_online or folder.name.startswith("offline-"))
