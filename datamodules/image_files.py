"""Image files, whole and upright, or named as unreadable."""

import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.unreadable import UnreadableSample

_COLOURS = {1: "L", 3: "RGB"}
# What Pillow raises for damaged files of its various formats.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error)


def read_image(path: Path, *, in_channels: int) -> UInt8[Tensor, "C H W"]:
    """All pixels of an image, grey (1 channel) or in colour (3), turned as its camera was held.

    Raises:
        UnreadableSample: it is missing, damaged or no image, has more pixels than Pillow's `MAX_IMAGE_PIXELS`
            (89 million: a small file may unfold to fill the memory), or values of more than 8 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Pillow's own hints about odd metadata.
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(path) as image:
                if image.mode.startswith(("I", "F")):
                    raise UnreadableSample(path, f"its values have more than 8 bits (mode {image.mode})")
                upright = ImageOps.exif_transpose(image).convert(_COLOURS[in_channels])
    except UnreadableSample:
        raise
    except FileNotFoundError as error:
        raise UnreadableSample(path, "there is no such file") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise UnreadableSample(path, f"it has more than {limit} pixels, too many to be read safely") from error
    except _DAMAGE as error:
        raise UnreadableSample(path, f"it cannot be read as an image ({error})") from error
    values = torch.from_numpy(np.array(upright))
    # Colours stay together, as they were decoded: torchvision resizes such bytes twice as fast, to the same values.
    return values[None] if in_channels == 1 else values.permute(2, 0, 1)
