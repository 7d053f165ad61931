"""Generated images side by side."""

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tv
from torchvision.utils import make_grid

# A digit of 28 pixels is hard to judge at its size.
_SMALLEST_SIDE = 56


def draw_grid(image: Float[Tensor, "B C H W"], *, columns: int) -> Image.Image:
    """Images between -1 and 1 in rows, small ones enlarged by whole factors."""
    factor = -(-_SMALLEST_SIDE // image.shape[-1])
    shown = (image.float().cpu().clamp(-1, 1) + 1) / 2
    large = shown.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    picture: Image.Image = tv.to_pil_image(make_grid(large, nrow=columns, padding=2, pad_value=0.5))
    return picture


def spherical_interpolation(
    start: Float[Tensor, "B Z"], end: Float[Tensor, "B Z"], *, steps: int
) -> Float[Tensor, "B steps Z"]:
    """From one latent vector to another along the arc between them (https://arxiv.org/abs/1609.04468, section 2).

    A straight line passes nearer to the origin than almost any vector that the generator has seen.
    """
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=1)[:, None, None]
    angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    share = torch.linspace(0, 1, steps, device=start.device)[None, :, None]
    weights = torch.sin((1 - share) * angle), torch.sin(share * angle)
    return (weights[0] * start[:, None] + weights[1] * end[:, None]) / torch.sin(angle)
