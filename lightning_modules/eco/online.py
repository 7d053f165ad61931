"""ECO while a video runs: a few frames stand for all that was seen (https://arxiv.org/abs/1804.09066, section 3)."""

import torch
from jaxtyping import Float
from torch import Tensor


def working_memories(clip: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B C T H W"]:
    """For each window the frames that ECO looks at once it has come: half of its own, half of those looked at before.

    So the frames of a window are halved with every one that follows, and what is long past is still seen, coarsely. The
    first window is looked at as a whole.
    """
    num_frames = clip.shape[2]
    num_kept = num_frames // 2
    memory = clip[0]
    memories = [memory]
    for window in clip[1:]:
        kept = memory[:, _spread(num_frames, num_kept)]
        memory = torch.cat([kept, window[:, _spread(num_frames, num_frames - num_kept)]], dim=1)
        memories.append(memory)
    return torch.stack(memories)


def _spread(num_frames: int, count: int) -> list[int]:
    """So many of a number of frames, evenly."""
    return [int((place + 0.5) * num_frames / count) for place in range(count)]
