"""What a run says on the screen before and after it."""

import json
import shlex
from pathlib import Path

from pytorch_lightning import LightningModule

from experiment.callbacks.skipped_samples import FILE_NAME as SKIPPED_FILE
from experiment.run_directory import RunDirectory, short_path
from experiment.start import RunRequest


def print_header(
    request: RunRequest, model: LightningModule, checkpoint: Path | None, *, pretrained: str | None
) -> None:
    """The run's name, what is trained, and from which state or weights it starts if not from the beginning."""
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    num_trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    trained = f", {num_trained:,} of them trained" if num_trained != num_parameters else ""
    verb = "continuing" if request.is_resumed else "training"
    start = f", from {checkpoint.stem}" if checkpoint is not None else ""
    if checkpoint is None and request.source is not None and not request.is_resumed:
        start = f", with the weights of run {request.source.run.id}"
    what = f"{type(model).__name__}, {num_parameters:,} parameters{trained}"
    print(f"{verb} {request.experiment}, run {request.run.id}{start}: {what}", flush=True)
    record = request.run.record()
    if request.is_resumed and record["git"]["sha"] != record["resumed"][-1]["git_sha"]:
        print(f"note: the run began with commit {record['git']['sha']}; the code is another one now", flush=True)
    if pretrained is not None:
        print(f"weights from {pretrained}", flush=True)


def print_report(run: RunDirectory, *, has_dashboard: bool) -> None:
    """The result, where it lies, and what one does next."""
    record = run.record()
    rows = [(name, f"{value:.4f}") for name, value in sorted(record["metrics"].items()) if name.startswith("test/")]
    rows += [
        ("wall time", f"{record['wall_time_s']:.1f} s for {record['num_epochs']} epochs"),
        ("run", short_path(run.path)),
        *_skipped(run),
        ("look at it", "make dashboard" if has_dashboard else f"python runs.py show {run.id}"),
    ]
    if (run.checkpoints / "last.ckpt").exists():
        rows.append(("resume it", f"python train.py resume={run.id} trainer.max_epochs={record['num_epochs'] + 10}"))
    of_this_start = ("seed=", "trainer=", "resume.", "fork.")
    kept = [override for override in record["overrides"] if not override.startswith(of_this_start)]
    rows.append(("sweep it", shlex.join(["python", "train.py", "-m", *kept, "seed=1,2,3"])))
    width = max(len(name) for name, _ in rows)
    print("\n".join(["", *(f"{name:<{width}}  {value}" for name, value in rows)]), flush=True)


def _skipped(run: RunDirectory) -> list[tuple[str, str]]:
    file = run.path / SKIPPED_FILE
    if not file.exists():
        return []
    return [("skipped", f"{len(json.loads(file.read_text()))} samples that cannot be read: {short_path(file)}")]
