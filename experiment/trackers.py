"""Trackers other than the ledger, ready for a machine without an account or a network."""

import netrc
import os
from pathlib import Path

from pytorch_lightning.loggers import WandbLogger

from experiment.run_directory import RunDirectory

_HOST = "api.wandb.ai"


class WandbTracker(WandbLogger):
    """Weights & Biases under the run's own id: online with an API key, else recorded on disk.

    Args:
        run_dir: the run's directory; the run has its id there too, so that a resumed run goes on in one curve. Runs of
            one experiment are a group, and so are the trials of a sweep.
        project, entity, tags, notes: as W&B has them.
    """

    def __init__(self, *, run_dir: str, project: str, entity: str | None, tags: list[str], notes: str | None) -> None:
        # Six lines of greeting and a sparkline per run otherwise.
        os.environ.setdefault("WANDB_SILENT", "true")
        directory = Path(run_dir)
        run = RunDirectory(directory)
        # One folder for all runs, as `wandb leet` and `wandb sync` expect it.
        super().__init__(
            name=f"{directory.parent.name}/{directory.name}",
            id=run.id,
            save_dir=run.outputs_dir,
            project=project,
            entity=entity,
            group=directory.parent.name,
            tags=tags,
            notes=notes,
            offline=not has_api_key(),
            resume="allow",
        )
        # Lightning passes it in any case, and wandb warns that it has no effect.
        self._wandb_init.pop("anonymous", None)

    def close(self, *, failed: bool, is_pruned: bool = False) -> None:
        """End the run; in a process that trains several the next one would else be written into it."""
        if self._experiment is not None:
            if is_pruned:
                tags = (*(self._experiment.tags or ()), "pruned")
                self._experiment.tags = tags  # type: ignore[union-attr]
            self._experiment.finish(exit_code=int(failed))
            self._experiment = None


def has_api_key() -> bool:
    """Whether W&B would find credentials without asking."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(_HOST) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False
