"""The question of a trial to its sweep, after every validation: is it worth going on?"""

from collections.abc import Callable

# Set in the first process of a trial of a sweep that prunes: takes the epoch and the objective's value.
ask_sweep: Callable[[int, float], bool] | None = None
# Set for all processes of such a trial; the others learn the answer from the first.
PRUNING_VARIABLE = "FIRSTHAND_PRUNING"
