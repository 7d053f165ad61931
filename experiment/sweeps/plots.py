"""Optuna's own plots of a sweep, a grid's too, in one HTML file that needs no server and no network."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment.sweeps.request import SweepRequest

if TYPE_CHECKING:
    from experiment.sweeps.summary import PointResult

# Below this an importance means nothing.
_FEWEST_POINTS = 2


def write_plots(results: "list[PointResult]", request: SweepRequest, file: Path) -> bool:
    """Draw them; False if there is too little to draw."""
    keys = list(results[0].params) if results else []
    finished = [result for result in results if result.status == "finished"]
    if len(finished) < _FEWEST_POINTS or not keys:
        return False
    figures = list(_figures(_study_of(results, request), request))
    parts = [figure.to_html(full_html=False, include_plotlyjs=index == 0) for index, figure in enumerate(figures)]
    head = f"<!doctype html><meta charset='utf-8'><title>{request.definition['experiment']}: sweep</title>"
    file.write_text("\n".join([head, *parts]))
    return True


def _study_of(results: "list[PointResult]", request: SweepRequest) -> Any:
    """The finished and pruned points as a study in memory."""
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState

    from experiment.sweeps.search_space import typed_value

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    objectives = request.objectives
    study = optuna.create_study(
        directions=["maximize" if mode == "max" else "minimize" for mode in objectives.values()]
    )
    distributions = request.space.distributions()
    for key, distribution in distributions.items():
        if isinstance(distribution, CategoricalDistribution) and all(map(_is_number, distribution.choices)):
            # On an axis of numbers, in their order.
            choices = sorted(float(str(choice)) for choice in distribution.choices)
            distributions[key] = CategoricalDistribution(choices)
    for result in sorted(results, key=lambda result: result.number):
        params = {
            key: float(text)
            if _is_number(text) and hasattr(distributions[key], "choices")
            else typed_value(text, distributions[key])
            for key, text in result.params.items()
        }
        values = [value for value in result.values.values() if value is not None]
        is_whole = result.status == "finished" and len(values) == len(objectives)
        study.add_trial(
            optuna.create_trial(
                state=TrialState.COMPLETE if is_whole else TrialState.FAIL,
                params=params,
                distributions=distributions,
                values=values if is_whole else None,
                user_attrs={"trials": result.trials},
            )
        )
    return study


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _figures(study: Any, request: SweepRequest) -> Iterator[Any]:
    from optuna import visualization

    names = list(request.objectives)
    if len(names) > 1:
        yield visualization.plot_pareto_front(study, target_names=names)
    for index, name in enumerate(names):
        of_objective: Any = {"target": lambda trial, index=index: trial.values[index], "target_name": name}
        yield visualization.plot_optimization_history(study, **of_objective)
        if len(request.space.as_written()) > 1:
            yield visualization.plot_param_importances(study, **of_objective)
            yield visualization.plot_parallel_coordinate(study, **of_objective)
        yield visualization.plot_slice(study, **of_objective)
