"""Windows, scales and mirror images against literal loops."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.pspnet.inference import most_probable, multi_scale_probability, sliding_window_probability


def _pointwise(image: Tensor) -> Tensor:
    """Logits that depend on the pixel alone."""
    return torch.stack([image[:, 0], image[:, 1] * image[:, 2], -image[:, 0]], dim=1)


def _with_surroundings(image: Tensor) -> Tensor:
    """Logits that depend on the whole of what is shown, and on where in it a pixel lies."""
    columns = torch.linspace(0, 1, image.shape[3]).expand_as(image[:, 0])
    return torch.stack([image[:, 0] + columns, image.mean(dim=(2, 3))[:, 1, None, None] + image[:, 2]], dim=1)


def _image(height: int, width: int) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("size", [(9, 9), (20, 31), (9, 40), (5, 8), (25, 7)])
def test_windows_change_nothing_for_a_network_that_sees_single_pixels(size: tuple[int, int]) -> None:
    image = _image(*size)
    found = sliding_window_probability(_pointwise, image, window=9)
    torch.testing.assert_close(found, _pointwise(image).softmax(dim=1))


def test_a_window_as_large_as_the_image_is_the_whole_image() -> None:
    image = _image(12, 15)
    whole = _with_surroundings(image).softmax(dim=1)
    torch.testing.assert_close(sliding_window_probability(_with_surroundings, image, window=15), whole)


def test_where_windows_overlap_their_probabilities_are_averaged() -> None:
    # Windows of 6, two thirds apart: at 0, 4 and, flush with the end, 5; in height 0 and 3.
    image = _image(9, 11)
    found = sliding_window_probability(_with_surroundings, image, window=6)
    for row in range(9):
        for column in range(11):
            seen = [
                _with_surroundings(image[:, :, top : top + 6, left : left + 6]).softmax(dim=1)[
                    :, :, row - top, column - left
                ]
                for top in (0, 3)
                for left in (0, 4, 5)
                if top <= row < top + 6 and left <= column < left + 6
            ]
            torch.testing.assert_close(found[:, :, row, column], torch.stack(seen).mean(dim=0))


def test_scales_and_mirror_images_are_averaged_at_the_images_size() -> None:
    image = _image(10, 14)
    views = []
    for size in ((5, 7), (10, 14), (15, 21)):
        scaled = F.interpolate(image, size=size, mode="bilinear", align_corners=True)
        for flipped in (scaled, scaled.flip(dims=[3])):
            probability = _with_surroundings(flipped).softmax(dim=1)
            upright = probability if flipped is scaled else probability.flip(dims=[3])
            views.append(F.interpolate(upright, size=(10, 14), mode="bilinear", align_corners=True))
    found = multi_scale_probability(_with_surroundings, image, scales=[0.5, 1.0, 1.5], mirror=True, window=None)
    torch.testing.assert_close(found, torch.stack(views).mean(dim=0))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2, 10, 14))


def test_one_scale_without_mirror_is_the_networks_own_answer() -> None:
    image = _image(10, 14)
    found = multi_scale_probability(_with_surroundings, image, scales=[1.0], mirror=False, window=None)
    assert torch.equal(found, _with_surroundings(image).softmax(dim=1))


def test_windows_are_laid_over_the_scaled_image() -> None:
    image = _image(8, 8)
    sizes: list[torch.Size] = []

    def noting(shown: Tensor) -> Tensor:
        sizes.append(shown.shape)
        return _pointwise(shown)

    multi_scale_probability(noting, image, scales=[2.0, 0.5], mirror=False, window=12)
    assert sizes == [(2, 3, 12, 12)] * 4 + [(2, 3, 4, 4)]


def test_the_most_probable_class_is_the_largest_score_and_of_equals_the_first() -> None:
    scores = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(most_probable(scores), scores.argmax(dim=1))
    assert torch.equal(most_probable(torch.zeros(1, 3, 2, 2)), torch.zeros(1, 2, 2, dtype=torch.long))


def test_an_image_may_shrink_to_a_pixel_but_not_vanish() -> None:
    found = multi_scale_probability(_pointwise, _image(3, 3), scales=[0.1], mirror=False, window=None)
    assert found.shape == (2, 3, 3, 3)
