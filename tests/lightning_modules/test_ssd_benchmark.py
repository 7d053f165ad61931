"""What the benchmark compares computes the same."""

import torch

from benchmarks.ssd_loss_and_decode import (
    NUM_CLASSES,
    loops_detections,
    loops_loss,
    make_batch,
    our_detections,
    our_loss,
    torchvisions_loss,
)


def test_the_three_losses_and_their_gradients_are_equal() -> None:
    results = []
    for terms in (loops_loss, our_loss(), torchvisions_loss()):
        batch = make_batch(batch_size=2, objects=3)
        batch.offsets.requires_grad_()
        batch.logits.requires_grad_()
        computed = terms(batch)
        sum(computed).backward()  # type: ignore[union-attr]
        results.append([*computed, batch.offsets.grad, batch.logits.grad])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-5)


def test_both_ways_detect_the_same() -> None:
    batch = make_batch(batch_size=1, objects=1)
    (expected,), ((boxes, score, label),) = loops_detections(batch), our_detections(batch)
    for index in range(NUM_CLASSES):
        # Boxes of the same score stand in any order.
        ours = sorted(zip(score[label == index].tolist(), boxes[label == index].tolist(), strict=True))
        theirs = sorted(zip(*(part.tolist() for part in expected[index]), strict=True))
        assert [s for s, _ in ours] == [s for s, _ in theirs]
        torch.testing.assert_close(torch.tensor([b for _, b in ours]), torch.tensor([b for _, b in theirs]))
