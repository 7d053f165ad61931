"""How near generated images are to genuine ones, by what a judge sees in both."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd
from torchmetrics.utilities import dim_zero_cat

# https://arxiv.org/abs/1904.06991, section 3.1.
_NEIGHBOURS = 3
# A class has come if it has at least this much of its even share.
_SMALLEST_SHARE = 0.5


class SampleScores(Metric):
    """FID, KID, precision and recall of generated images, and whether they are recognised.

    Args:
        judge_name: see `JudgeFile`.
        expected: the judge's classes that are to be generated; None is all of them.
    """

    full_state_update = False
    genuine: list[Tensor]
    generated: list[Tensor]
    probability: list[Tensor]

    def __init__(self, *, judge_name: str, expected: list[int] | None) -> None:
        super().__init__()
        self.judge_name = judge_name
        self.expected = expected
        for state in ("genuine", "generated", "probability"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(
        self,
        genuine: Float[Tensor, "B D"],
        generated: Float[Tensor, "B D"],
        probability: Float[Tensor, "B K"],
    ) -> None:
        """Take in features of both, and the classes' probabilities of the generated ones; a judge may know no class."""
        self.genuine.append(genuine)
        self.generated.append(generated)
        self.probability.append(probability)

    def compute(self) -> dict[str, Tensor]:
        """Scores by name; one that needs more images than there are is left out."""
        genuine, generated = dim_zero_cat(self.genuine), dim_zero_cat(self.generated)
        probability = dim_zero_cat(self.probability)
        scores = recognition(probability, self.expected) if probability.shape[1] > 0 else {}
        if min(len(genuine), len(generated)) <= _NEIGHBOURS:
            return scores
        precision, recall = precision_and_recall(genuine, generated)
        of_judge = {
            "fid": frechet_distance(genuine, generated),
            "kid": poly_mmd(genuine, generated),
            "precision": precision,
            "recall": recall,
        }
        return {**scores, **{f"{name}_{self.judge_name}": value for name, value in of_judge.items()}}


def frechet_distance(first: Float[Tensor, "n D"], second: Float[Tensor, "m D"]) -> Float[Tensor, ""]:
    """Between Gaussians of the same means and covariances (https://arxiv.org/abs/1706.08500, equation 6)."""
    first, second = first.double(), second.double()
    return _compute_fid(first.mean(dim=0), first.T.cov(), second.mean(dim=0), second.T.cov()).float()


def precision_and_recall(
    genuine: Float[Tensor, "n D"], generated: Float[Tensor, "m D"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Shares of generated images near a genuine one and of genuine ones near a generated one (arXiv:1904.06991)."""
    return _is_covered(generated, by=genuine).float().mean(), _is_covered(genuine, by=generated).float().mean()


def _is_covered(sample: Float[Tensor, "n D"], *, by: Float[Tensor, "m D"]) -> Bool[Tensor, " n"]:
    # The nearest of a point is the point itself.
    radius = torch.cdist(by, by).kthvalue(_NEIGHBOURS + 1, dim=1).values
    return (torch.cdist(sample, by) <= radius).any(dim=1)


def recognition(probability: Float[Tensor, "n K"], expected: list[int] | None) -> dict[str, Tensor]:
    """How sure the judge is of the likeliest expected class, and how the classes share the images."""
    classes: Int64[Tensor, " k"] = torch.tensor(expected or range(probability.shape[1]), device=probability.device)
    best = probability[:, classes].max(dim=1)
    is_one = probability.argmax(dim=1)[:, None] == classes
    share = is_one.float().mean(dim=0)
    return {
        "recognised": best.values.mean(),
        "smallest_class_share": share.min(),
        "coverage": (share >= _SMALLEST_SHARE / len(classes)).float().mean(),
    }
