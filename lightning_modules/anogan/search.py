"""AnoGAN's search for the latent vectors whose images are nearest to given ones (arXiv:1703.05921, section 2.2)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_modules.adversarial.turns import held_still
from lightning_modules.adversarial.verdict import Measure, Scoring, Verdict, compare
from lightning_modules.dcgan.network import Discriminator

# The starting points are the same for every image and every search: a score is a function of its image.
_SEED = 0


class Search(NamedTuple):
    """How long and how fast to look.

    Attributes:
        num_steps: at most; the paper's 500.
        lr: of Adam.
        num_starts: random points to start from, of which the best end counts.
        patience: an image's search ends after so many steps in a row ...
        tolerance: ... none of which lowered its loss by more than this fraction.
        measure, blur, discrimination_weight: of the score, see `Scoring`; the loss that the search lowers is the
            paper's, with this weight.
    """

    num_steps: int
    lr: float
    num_starts: int
    patience: int
    tolerance: float
    measure: Measure
    blur: int
    discrimination_weight: float

    @property
    def loss(self) -> Scoring:
        """What the search lowers."""
        return Scoring("sum", 1, self.discrimination_weight)

    @property
    def scoring(self) -> Scoring:
        """What the end of a search is judged by."""
        return Scoring(self.measure, self.blur, self.discrimination_weight)


def search(
    generator: nn.Module,
    discriminator: Discriminator,
    image: Float[Tensor, "B C H W"],
    *,
    latent_dim: int,
    settings: Search,
) -> Verdict:
    """The best reconstruction of each image of a batch; nothing but latent vectors gets a gradient.

    Evaluation runs in inference mode, whose tensors have no gradients, hence the copy of the images.
    """
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        held_still([*generator.parameters(), *discriminator.parameters()]),
    ):
        image = image.clone()
        wanted = discriminator.features(image).flatten(start_dim=1).repeat_interleave(settings.num_starts, dim=0)
        shown = image.repeat_interleave(settings.num_starts, dim=0)
        starts = torch.randn(settings.num_starts, latent_dim, generator=torch.Generator().manual_seed(_SEED))
        latent = starts.to(image).repeat(len(image), 1).requires_grad_()
        best_latent = _descend(generator, discriminator, shown, wanted, latent, settings)
        with torch.no_grad():
            found = _verdict(generator, discriminator, shown, wanted, best_latent, settings.scoring)
            best_start = found.score.view(len(image), settings.num_starts).argmin(dim=1)
            rows = torch.arange(len(image), device=image.device) * settings.num_starts + best_start
            return Verdict(*(part[rows] for part in found))


def _descend(
    generator: nn.Module,
    discriminator: Discriminator,
    image: Float[Tensor, "n C H W"],
    wanted: Float[Tensor, "n D"],
    latent: Float[Tensor, "n Z"],
    settings: Search,
) -> Float[Tensor, "n Z"]:
    optimizer = torch.optim.Adam([latent], lr=settings.lr)
    best, best_latent = torch.full_like(latent[:, 0], torch.inf), latent.detach().clone()
    waited = torch.zeros_like(best)
    for _ in range(settings.num_steps):
        score = _verdict(generator, discriminator, image, wanted, latent, settings.loss).score
        (latent.grad,) = torch.autograd.grad(score.sum(), latent)
        with torch.no_grad():
            goes_on = waited < settings.patience
            is_progress = score < best * (1 - settings.tolerance)
            waited = torch.where(goes_on & ~is_progress, waited + 1, torch.where(goes_on, 0.0, waited))
            is_best = goes_on & (score < best)
            best = torch.where(is_best, score, best)
            best_latent = torch.where(is_best[:, None], latent, best_latent)
            if not goes_on.any():
                break
        optimizer.step()
    return best_latent


def _verdict(
    generator: nn.Module,
    discriminator: Discriminator,
    image: Float[Tensor, "n C H W"],
    wanted: Float[Tensor, "n D"],
    latent: Float[Tensor, "n Z"],
    scoring: Scoring,
) -> Verdict:
    reconstruction = generator(latent)
    features = discriminator.features(reconstruction).flatten(start_dim=1)
    return compare(image, reconstruction, wanted, features, scoring)
