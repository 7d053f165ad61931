"""A sweep from its command line to its table: what `python train.py -m ...` does."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from experiment.failures import EXIT_FAILED, EXIT_FINISHED, EXIT_REFUSED, RunFailed
from experiment.pruning import PRUNING_VARIABLE
from experiment.sweeps.fork_server import ForkServer, ServerLost, TrialServer
from experiment.sweeps.points import Grid, PointSource
from experiment.sweeps.request import SweepRequest, request_of
from experiment.sweeps.scheduler import Plan, Scheduler
from experiment.sweeps.search_space import overrides_of
from experiment.sweeps.slots import Slot, slots_of
from experiment.sweeps.summary import Summary
from experiment.sweeps.sweep_directory import SweepDirectory, open_sweep
from experiment.sweeps.trial import import_once, single_run
from experiment.sweeps.trial_records import BAD, TrialRecords

Task = Callable[[DictConfig], Any]


def check_sweep(config: DictConfig, arguments: Sequence[str], *, context: HydraContext, task: Task) -> None:
    """Run the task, which only checks, on every point of a grid or on one of a search; nothing is written.

    Raises:
        Refused: see `request_of`.
    """
    request = request_of(config, arguments, loader=context.config_loader)
    slots_of(request.options, request.settings["trainer"])
    is_grid = request.definition["method"] == "grid"
    for number, point in enumerate(request.space.grid() if is_grid else [_any_point(request)]):
        composed = context.config_loader.load_sweep_config(config, [*request.fixed, *overrides_of(point)])
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
            composed.hydra.sweep.dir = "."
        run_job(
            task_function=task,
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key=None,
            hydra_context=context,
        )


def run_sweep(config: DictConfig, arguments: Sequence[str], *, context: HydraContext, task: Task) -> int:
    """Run it, or what is left of it; the exit code.

    Raises:
        Refused: the command line asks for what cannot be; nothing was started.
        RunFailed: the server of trials was killed.
    """
    request = request_of(config, arguments, loader=context.config_loader)
    _compose_first_point(config, request, context)
    slots = slots_of(request.options, request.settings["trainer"])
    sweep = open_sweep(
        Path(config.paths.outputs_dir).absolute(),
        request.definition,
        resume=str(request.options["resume"]),
        argv=sys.argv,
    )
    records = TrialRecords(sweep.path)

    # Forked before Optuna is imported, which then happens while the server imports torch.
    server = _server(config, request, sweep, slots, task)
    try:
        return _run(request, sweep, records, server, slots)
    except ServerLost as error:
        sweep.update(status="interrupted")
        raise RunFailed(f"{error}; go on with sweep.resume={sweep.id}") from error
    finally:
        server.close()


def _run(
    request: SweepRequest, sweep: SweepDirectory, records: TrialRecords, server: TrialServer, slots: list[Slot]
) -> int:
    source = _source(request, sweep, records)
    num_seeds = max(1, len(request.seeds))
    num_points = source.num_points()
    num_trials = None if num_points is None else num_points * num_seeds
    summary = Summary(request, sweep, records, num_trials=num_trials)
    summary.print_header(num_slots=len(slots))
    plan = Plan(
        fixed=request.fixed,
        seeds=request.seeds,
        environment={PRUNING_VARIABLE: "1"} if request.options.get("pruner") else {},
        timeout_s=request.options["timeout_s"],
        retries_failed=request.options["retry_failed"],
    )
    sweep.update(status="running")
    scheduler = Scheduler(source, server, records, slots=slots, plan=plan, tell=summary.print_trial)
    interruption = scheduler.run()
    summary.write(status="finished" if interruption is None else "interrupted")
    summary.print_table()
    if interruption is not None:
        print(f"\nstopped; go on with: {shlex.join(['python', Path(sys.argv[0]).name, *_arguments_to_go_on(sweep)])}")
        return interruption
    summary.write_report()
    return _exit_code(records)


def _source(request: SweepRequest, sweep: SweepDirectory, records: TrialRecords) -> PointSource:
    if request.definition["method"] == "grid":
        return Grid(request.space)
    from experiment.sweeps.study import Search, Study, open_storage

    search = Search(
        request.num_trials,
        request.options["seed"],
        request.objectives,
        request.options,
        request.settings["trainer"]["max_epochs"],
    )
    if request.options["sampler"] == "grid":
        search = search._replace(num_trials=min(request.num_trials, len(request.known_points)))
    return Study(
        request.space.distributions(),
        search,
        records,
        storage=open_storage(request.options["storage"], sweep.path),
        name=request.study_name,
        known_points=request.known_points,
    )


def _compose_first_point(config: DictConfig, request: SweepRequest, context: HydraContext) -> None:
    """Have Hydra compose one of the points: a key that does not exist is better told before anything starts."""
    context.config_loader.load_sweep_config(config, [*request.fixed, *overrides_of(_any_point(request))])


def _any_point(request: SweepRequest) -> dict[str, str]:
    if request.definition["method"] == "grid":
        return next(request.space.grid())
    distributions: dict[str, Any] = dict(request.space.distributions())
    return {
        key: str(distribution.choices[0] if hasattr(distribution, "choices") else distribution.low)
        for key, distribution in distributions.items()
    }


def _server(
    config: DictConfig, request: SweepRequest, sweep: SweepDirectory, slots: list[Slot], task: Task
) -> TrialServer:
    workers = request.options["workers"]
    if workers["kind"] != "none":
        from experiment.sweeps.job_queues import queue_of
        from experiment.sweeps.worker_pool import WorkerPool

        folder = sweep.path / "workers"
        return WorkerPool(
            queue_of(workers, folder),
            num_workers=len(slots),
            folder=folder,
            host=workers["host"],
            settings=request.settings,
        )

    def prepare() -> None:
        sweep.leave_lock()
        # Before torch is imported, which reads it then.
        if (threads := slots[0].environment.get("OMP_NUM_THREADS")) is not None:
            os.environ["OMP_NUM_THREADS"] = threads
        import_once(request.settings)

    return ForkServer(single_run(task, config_name=config.hydra.job.config_name), prepare)


def _arguments_to_go_on(sweep: SweepDirectory) -> list[str]:
    given = [argument for argument in sys.argv[1:] if not argument.startswith("sweep.resume=")]
    return [*given, f"sweep.resume={sweep.id}"]


def _exit_code(records: TrialRecords) -> int:
    statuses = {record.status for record in records}
    if statuses == {"refused"}:
        return EXIT_REFUSED
    return EXIT_FAILED if statuses & set(BAD) else EXIT_FINISHED
