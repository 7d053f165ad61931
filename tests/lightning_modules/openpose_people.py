"""People with known joints, for tests of OpenPose."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

# A standing figure's 18 joints, in parts of its height, its trunk's middle at the origin.
_STANDING = np.array(
    [
        (0.0, -0.30), (0.0, -0.20), (-0.10, -0.20), (-0.16, -0.05), (-0.18, 0.10), (0.10, -0.20), (0.16, -0.05),
        (0.18, 0.10), (-0.07, 0.05), (-0.08, 0.28), (-0.08, 0.50), (0.07, 0.05), (0.08, 0.28), (0.08, 0.50),
        (-0.04, -0.34), (0.04, -0.34), (-0.09, -0.32), (0.09, -0.32),
    ]
)  # fmt: skip


def random_people(
    generator: np.random.Generator, *, count: int, height: int, width: int, tall: tuple[float, float] = (130.0, 190.0)
) -> Float[Tensor, "1 count 18 3"]:
    """People side by side in two rows, in different postures; joints outside the image are not labelled."""
    columns = min(count, 4)
    rows = -(-count // columns)
    people: list[NDArray[np.float64]] = []
    for index in range(count):
        middle = ((index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / rows)
        figure = _STANDING * generator.uniform(*tall) + middle + generator.normal(scale=3, size=(18, 2))
        is_inside = ((figure >= 0) & (figure < (width, height))).all(axis=1)
        people.append(np.concatenate([figure, 2.0 * is_inside[:, None]], axis=1))
    return torch.tensor(np.stack(people)[None], dtype=torch.float32)
