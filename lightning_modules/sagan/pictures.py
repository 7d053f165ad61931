"""Where places of generated images look."""

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from lightning_modules.adversarial.pictures import draw_grid

_SIDE = 112
_HEAT = (255, 64, 0)
_MARK = (66, 133, 244)
# Of the map: the middles of its quarters.
_QUERIES = ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))


def draw_attention(image: Float[Tensor, "B C H W"], weights: Float[Tensor, "B N N"]) -> Image.Image:
    """A row for each image: itself, then for four of its places (a blue square) in red where each looks."""
    side = round(weights.shape[1] ** 0.5)
    canvas = Image.new("RGB", (_SIDE * (1 + len(_QUERIES)), _SIDE * len(image)))
    for row in range(len(image)):
        plain = draw_grid(image[row : row + 1], columns=1).convert("RGB").resize((_SIDE, _SIDE))
        canvas.paste(plain, (0, row * _SIDE))
        for column, (y, x) in enumerate(_QUERIES, start=1):
            place = (int(y * side), int(x * side))
            look = weights[row, place[0] * side + place[1]].view(side, side)
            heated = _heated(plain, look / look.max())
            scale = _SIDE / side
            corner = (place[1] * scale, place[0] * scale)
            square = (*corner, corner[0] + scale, corner[1] + scale)
            ImageDraw.Draw(heated).rectangle(square, outline=_MARK, width=2)
            canvas.paste(heated, (column * _SIDE, row * _SIDE))
    return canvas


def _heated(picture: Image.Image, share: Float[Tensor, "h w"]) -> Image.Image:
    opacity = Image.fromarray((share.float().cpu() * 200).round().to(torch.uint8).numpy())
    mask = opacity.resize(picture.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", picture.size, _HEAT), picture, mask)
