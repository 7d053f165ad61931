"""Augmentation through which gradients flow (Zhao et al., https://arxiv.org/abs/2006.10738, section 4).

Shown only real images augmented, a generator would learn the augmentation; shown both, the discriminator cannot learn
few real images by heart.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Image = Float[Tensor, "B C H W"]
# Of the side: the paper's.
_LARGEST_SHIFT = 1 / 8
_CUTOUT_SIDE = 1 / 2


def color(image: Image) -> Image:
    """Brightness, saturation and contrast, each at random for each image; of values between -1 and 1."""
    image = image + _uniform(image) - 0.5
    grey = image.mean(dim=1, keepdim=True)
    image = grey + (image - grey) * 2 * _uniform(image)
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (image - mean) * (0.5 + _uniform(image))


def translation(image: Image) -> Image:
    """Move each image by up to an eighth of its side; what comes in is empty, which for values from -1 to 1 is -1."""
    height, width = image.shape[-2:]
    reach = max(1, round(height * _LARGEST_SHIFT)), max(1, round(width * _LARGEST_SHIFT))
    padded = F.pad(image, (reach[1], reach[1], reach[0], reach[0]), value=-1.0)
    top, left = (torch.randint(2 * steps + 1, (len(image), 1, 1), device=image.device) for steps in reach)
    rows = top + torch.arange(height, device=image.device)[None, :, None]
    columns = left + torch.arange(width, device=image.device)[None, None, :]
    which = torch.arange(len(image), device=image.device)[:, None, None]
    # Indices in front and behind bring the channels to the end.
    return padded.permute(0, 2, 3, 1)[which, rows, columns].permute(0, 3, 1, 2)


def cutout(image: Image) -> Image:
    """Grey out a square of half the side, its middle anywhere in the image."""
    is_kept = torch.ones_like(image[:, :1], dtype=torch.bool)
    for axis, side in ((2, image.shape[2]), (3, image.shape[3])):
        middle = torch.randint(side, (len(image), 1, 1, 1), device=image.device)
        shape = [1, 1, 1, 1]
        shape[axis] = side
        place = torch.arange(side, device=image.device).view(shape)
        is_far = (place - middle).abs() > side * _CUTOUT_SIDE / 2
        is_kept = is_far if axis == 2 else is_kept | is_far
    return image * is_kept


def _uniform(image: Image) -> Float[Tensor, "B 1 1 1"]:
    return torch.rand(len(image), 1, 1, 1, device=image.device)


AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}
