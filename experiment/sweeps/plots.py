"""Optuna's own plots of a sweep, a grid's too, in one HTML file that needs no server and no network."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment.sweeps.request import SweepRequest
from experiment.sweeps.search_space import typed_value

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

    from experiment.sweeps.summary import PointResult

_FEWEST_POINTS = 2


def write_plots(results: "list[PointResult]", request: SweepRequest, file: Path) -> bool:
    """Draw the points that finished; False if there is too little to draw."""
    finished = sorted((result for result in results if result.status == "finished"), key=lambda result: result.number)
    if len(finished) < _FEWEST_POINTS or not finished[0].params:
        return False
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        # Of importances that rest on few points.
        warnings.simplefilter("ignore")
        figures = list(_figures(finished, request))
    parts = [figure.to_html(full_html=False, include_plotlyjs=index == 0) for index, figure in enumerate(figures)]
    head = f"<!doctype html><meta charset='utf-8'><title>{request.definition['experiment']}: sweep</title>"
    file.write_text("\n".join([head, *parts]))
    return True


def _figures(results: "list[PointResult]", request: SweepRequest) -> Iterator[Any]:
    from optuna import visualization

    if len(request.objectives) > 1:
        yield visualization.plot_pareto_front(
            _study_of(results, request, list(request.objectives)), target_names=list(request.objectives)
        )
    for name in request.objectives:
        study = _study_of(results, request, [name])
        yield visualization.plot_optimization_history(study, target_name=name)
        if len(request.space.as_written()) > 1:
            # Where all points have the same value nothing is important, which is an error there.
            with suppress(ValueError, RuntimeError):
                yield visualization.plot_param_importances(study, target_name=name)
            yield visualization.plot_parallel_coordinate(study, target_name=name)
        yield visualization.plot_slice(study, target_name=name)


def _study_of(results: "list[PointResult]", request: SweepRequest, names: list[str]) -> "Study":
    """Points as a study in memory, with some of their objectives."""
    import optuna

    directions = ["maximize" if request.objectives[name] == "max" else "minimize" for name in names]
    study = optuna.create_study(directions=directions)  # type: ignore[arg-type]
    distributions = {key: _on_an_axis(distribution) for key, distribution in request.space.distributions().items()}
    for result in results:
        values = [value for name in names if (value := result.values[name]) is not None]
        if len(values) < len(names):
            continue
        study.add_trial(
            optuna.create_trial(
                params={key: _on_its_axis(text, distributions[key]) for key, text in result.params.items()},
                distributions=distributions,
                values=values,
                user_attrs={"trials": result.trials},
            )
        )
    return study


def _on_an_axis(distribution: "BaseDistribution") -> "BaseDistribution":
    """Listed numbers in their order."""
    from optuna.distributions import CategoricalDistribution

    if not isinstance(distribution, CategoricalDistribution):
        return distribution
    try:
        return CategoricalDistribution(sorted(float(str(choice)) for choice in distribution.choices))
    except ValueError:
        return distribution


def _on_its_axis(text: str, distribution: "BaseDistribution") -> Any:
    choices = getattr(distribution, "choices", ())
    return float(text) if choices and isinstance(choices[0], float) else typed_value(text, distribution)
