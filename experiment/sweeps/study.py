"""Points chosen by Optuna, through its ask and tell interface."""

import logging
import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from experiment.failures import Refused
from experiment.sweeps.points import Point
from experiment.sweeps.samplers import make_pruner, make_sampler
from experiment.sweeps.search_space import typed_value, written
from experiment.sweeps.trial_records import TrialRecord, TrialRecords

optuna.logging.set_verbosity(logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Search(NamedTuple):
    """How to search.

    Args:
        num_trials: in total, over all processes that share the study, and over all starts of the sweep.
        seed: of the sampler.
        objectives: metric by metric, `max` or `min`; the only one is the trial's own objective.
        options: conf/sweep/optuna.yaml.
        max_epochs: of a trial, for Hyperband.
    """

    num_trials: int
    seed: int
    objectives: dict[str, str]
    options: dict[str, Any]
    max_epochs: int | None


class Study:
    """An Optuna study as a source of points. A trial's number is Optuna's number of it.

    What the sampler suggests for trial n depends on the seed, n, and the trials before: not on how often the sweep was
    stopped and continued. So with one slot a continued sweep finds what the uninterrupted one would have found.
    """

    def __init__(
        self,
        distributions: dict[str, BaseDistribution],
        search: Search,
        records: TrialRecords,
        *,
        storage: BaseStorage,
        name: str,
        known_points: list[dict[str, str]],
    ) -> None:
        self._distributions = distributions
        self._search = search
        self._trials: dict[int, Trial] = {}
        directions = [
            StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE for mode in search.objectives.values()
        ]
        self.study = optuna.create_study(
            study_name=name,
            storage=storage,
            directions=directions,
            pruner=make_pruner(search.options, max_epochs=search.max_epochs),
            load_if_exists=True,
        )
        if len(self.study.get_trials(deepcopy=False)) < len(known_points):
            for point in known_points:
                self.study.enqueue_trial(_typed(point, distributions), skip_if_exists=True)
        self._own = {record.point for record in records}
        self._is_shared = isinstance(storage, RDBStorage)
        self._to_continue = [trial for trial in self.study.get_trials(deepcopy=False) if self._is_left_over(trial)]

    def num_points(self) -> int:
        return self._search.num_trials

    def next_point(self) -> Point | None:
        if self._to_continue:
            frozen = self._to_continue.pop(0)
            self._seed_sampler(frozen.number)
            return self._suggest(Trial(self.study, frozen._trial_id))
        asked = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]
        if len(asked) >= self._search.num_trials:
            return None
        self._seed_sampler(len(asked))
        try:
            trial = self.study.ask()
        except ValueError as error:
            raise Refused(f"the sampler cannot search this space: {error}") from error
        return self._suggest(trial)

    def conclude(self, point: Point, records: list[TrialRecord]) -> None:
        trial = self._trials.pop(point.number)
        for key in ("status", "seconds"):
            trial.set_user_attr(key, [getattr(record, key) for record in records])
        statuses = {record.status for record in records}
        if statuses == {"pruned"}:
            self.study.tell(trial, state=TrialState.PRUNED)
        elif statuses == {"finished"}:
            values = [mean_of(name, records, self._search.objectives) for name in self._search.objectives]
            numbers = [value for value in values if value is not None and math.isfinite(value)]
            if len(numbers) == len(values):
                self.study.tell(trial, numbers)
            else:
                self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def is_to_be_pruned(self, point: Point, *, epoch: int, value: float) -> bool:
        trial = self._trials[point.number]
        reported = self.study._storage.get_trial(trial._trial_id).intermediate_values
        # An epoch that a continued trial went through again counts once.
        if epoch not in reported:
            trial.report(value, epoch)
        return bool(trial.should_prune())

    def _is_left_over(self, trial: FrozenTrial) -> bool:
        """Whether a trial was begun by this sweep before it was stopped; a shared study has others' too."""
        is_ours = not self._is_shared or trial.number in self._own
        return trial.state == TrialState.RUNNING and is_ours

    def _seed_sampler(self, number: int) -> None:
        self.study.sampler = make_sampler(self._search.options, seed=self._search.seed, number=number)

    def _suggest(self, trial: Trial) -> Point:
        self._trials[trial.number] = trial
        params = {}
        for key, distribution in self._distributions.items():
            value: Any
            if isinstance(distribution, FloatDistribution):
                value = trial.suggest_float(
                    key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
                )
            elif isinstance(distribution, IntDistribution):
                value = trial.suggest_int(
                    key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
                )
            else:
                assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
                value = trial.suggest_categorical(key, distribution.choices)
            params[key] = written(value)
        return Point(trial.number, params)


def mean_of(name: str, records: list[TrialRecord], objectives: dict[str, str]) -> float | None:
    """Of a metric over the seeds of a point; of the objective itself where it is the only one."""
    values = [record.objective if len(objectives) == 1 else record.metrics.get(name) for record in records]
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if len(numbers) == len(values) else None


def _typed(point: dict[str, str], distributions: dict[str, BaseDistribution]) -> dict[str, Any]:
    """A point as Optuna has it.

    Raises:
        Refused: it is not in the search space.
    """
    typed: dict[str, Any] = {}
    for key, text in point.items():
        if key not in distributions:
            raise Refused(f"sweep.enqueue: {key} is not searched; leave it out, or give it a range")
        try:
            typed[key] = typed_value(text, distributions[key])
        except ValueError as error:
            raise Refused(f"sweep.enqueue: {key}={text} is not in the search space ({error}); change it") from error
    return typed


def open_storage(url: str | None, sweep_dir: Path) -> BaseStorage:
    """Where a study is kept: a journal in the sweep's directory, or a database that several machines share.

    Raises:
        Refused: the database does not answer.
    """
    if url is None:
        file = str(sweep_dir / "study.journal")
        # This process has the sweep to itself: a lock that is there was left by one that was killed.
        for remains in sweep_dir.glob("study.journal.lock*"):
            remains.unlink()
        return JournalStorage(JournalFileBackend(file, lock_obj=JournalFileOpenLock(file)))
    try:
        return RDBStorage(url)
    except Exception as error:
        first_line = str(error).splitlines()[0]
        raise Refused(
            f"sweep.storage={url} cannot be used: {first_line}; give SQLAlchemy's URL of a database"
        ) from error
