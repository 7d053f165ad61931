"""How well scores tell anomalous images and pixels from normal ones."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from datamodules.batches import VOID, AnomalyBatch
from lightning_modules.adversarial.verdict import Verdict


class AnomalyScores(Metric):
    """AUROC and average precision of images and pixels, and AUROC against each kind of anomaly.

    `auroc` and `average_precision` are against all unseen classes; `auroc_stained` is apart. Beside them the two terms
    of the score alone, and the distance to the nearest training image as a baseline.

    Args:
        num_classes: of the data; a kind beyond them is a normal image with a stain.

    Attributes:
        kind_names: of all kinds, for the scores' names; numbers unless they are set.
    """

    full_state_update = False
    _STATES = ("score", "residual", "discrimination", "distance", "kind", "is_anomalous", "heat", "defect")

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.kind_names = [*map(str, range(num_classes)), "stained"]
        for state in self._STATES:
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, verdict: Verdict, batch: AnomalyBatch) -> None:
        """Take in a batch."""
        assert batch.distance is not None, "evaluation batches have it"
        # One value a pixel: images of unseen classes have none that count.
        labelled = batch.defect.flatten() != VOID
        values = (
            *(verdict.score, verdict.residual, verdict.discrimination, batch.distance, batch.kind, batch.is_anomalous),
            *(verdict.heat.flatten()[labelled], batch.defect.flatten()[labelled]),
        )
        for name, value in zip(self._STATES, values, strict=True):
            getattr(self, name).append(value)

    def compute(self) -> dict[str, Tensor]:
        """Scores by name; those of which the split has no normal or no anomalous images are left out."""
        state = {name: dim_zero_cat(getattr(self, name)) for name in self._STATES}
        for name in ("score", "residual", "discrimination", "distance", "heat"):
            state[name] = between_0_and_1(state[name])
        kind, is_anomalous = state["kind"], state["is_anomalous"]
        unseen = (kind < self.num_classes) | ~is_anomalous
        results: dict[str, Tensor] = {}
        if both(is_anomalous[unseen]):
            target = is_anomalous[unseen].long()
            results["auroc"] = binary_auroc(state["score"][unseen], target)
            results["average_precision"] = binary_average_precision(state["score"][unseen], target)
            for name in ("residual", "discrimination"):
                results[f"auroc_{name}"] = binary_auroc(state[name][unseen], target)
            results["auroc_nearest_neighbour"] = binary_auroc(state["distance"][unseen], target)
        for index in sorted(set(kind[is_anomalous].tolist())):
            results |= self._against(index, state)
        if both(state["defect"] > 0):
            results["pixel_auroc"] = binary_auroc(state["heat"], state["defect"])
            results["pixel_average_precision"] = binary_average_precision(state["heat"], state["defect"])
        return results

    def _against(self, kind: int, state: dict[str, Tensor]) -> dict[str, Tensor]:
        compared = ~state["is_anomalous"] | (state["kind"] == kind)
        if not both(state["is_anomalous"][compared]):
            return {}
        name = self.kind_names[kind]
        target = state["is_anomalous"][compared].long()
        return {
            f"auroc_{name}": binary_auroc(state["score"][compared], target),
            f"auroc_{name}_nearest_neighbour": binary_auroc(state["distance"][compared], target),
        }


def between_0_and_1(value: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The same order; torchmetrics takes what lies outside for logits, and a sigmoid makes all large scores equal."""
    if len(value) == 0:
        return value.double()
    value = value.double() - value.min()
    return value / value.max().clamp(min=torch.finfo(value.dtype).tiny)


def both(is_anomalous: Bool[Tensor, " n"]) -> bool:
    """Whether there are some of either."""
    return bool(is_anomalous.any()) and not bool(is_anomalous.all())
