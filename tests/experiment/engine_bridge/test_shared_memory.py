"""Who shares memory with whom, while tensors move, die and leave their addresses to others."""

import torch

from experiment.engine_bridge.shared_memory import SharedMemory, renew


def _are(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return len(found) == len(expected) and all(a is b for a, b in zip(found, expected, strict=True))


def test_views_share_memory_with_what_they_are_views_of() -> None:
    memory, x = SharedMemory(), torch.arange(6.0)
    first, last = x[:2], x[4:]
    memory.note(x, [first, last])
    assert _are(memory.others(first), [x, last])
    assert _are(memory.others(x), [first, last])


def test_a_tensor_that_has_moved_shares_the_old_memory_no_longer() -> None:
    memory, x = SharedMemory(), torch.arange(6.0)
    view = x[:2]
    memory.note(x, view)
    renew([view])
    assert memory.others(x) == []
    # Nor does what is made at the old address later.
    later = x[2:]
    memory.note(x, later)
    assert _are(memory.others(later), [x])


def test_tensors_without_elements_share_nothing() -> None:
    memory, x, y = SharedMemory(), torch.empty(0), torch.empty(0, 3)
    memory.note(x, x.view(0, 2))
    view = y.view(3, 0)
    memory.note(y, view)
    assert memory.others(y) == []
