"""What a run says on the screen before and after it."""

from pytorch_lightning import LightningModule

from experiment.restoring import short_path
from experiment.run_directory import RunDirectory
from experiment.start import RunRequest


def print_header(request: RunRequest, model: LightningModule) -> None:
    """The run's name, and what is trained."""
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    verb = "continuing" if request.is_resumed else "training"
    print(
        f"{verb} {request.experiment}, run {request.run.id}: {type(model).__name__}, {num_parameters:,} parameters",
        flush=True,
    )


def print_report(run: RunDirectory) -> None:
    """The result, where it lies, and what one does next."""
    record = run.record()
    rows = [(name, f"{value:.4f}") for name, value in sorted(record["metrics"].items()) if name.startswith("test/")]
    rows += [
        ("wall time", f"{record['wall_time_s']:.1f} s for {record['num_epochs']} epochs"),
        ("run", short_path(run.path)),
        ("look at it", "make dashboard"),
        ("resume it", f"python train.py resume={run.id} trainer.max_epochs={record['num_epochs'] + 10}"),
        ("sweep it", f"python train.py -m experiment={record['experiment']} seed=1,2,3"),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(["", *(f"{name:<{width}}  {value}" for name, value in rows)]), flush=True)
