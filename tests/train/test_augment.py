"""Augmentation: what moves where, by seed and epoch alone, and never what is not trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeflow.errors import DataError
from spikeflow.train.augment import Augment
from spikeflow.train.batches import Arrays, Coding


def _by_hand(x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The same, pixel by pixel, of pictures ``(..., H, W)``."""
    down, right, mirrored = (int(v) for v in drawn)
    x = x[..., ::-1] if mirrored else x
    found = np.zeros_like(x)
    height, width = x.shape[-2:]
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                found[..., i, j] = x[..., i - down, j - right]
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lead", ((), (3,)))
def test_samples_move_as_drawn(seed: int, lead: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(seed)
    height, width = numbers.integers(2, 7, 2)
    x = numbers.random((6, *lead, 2, height, width), np.float32)
    augment = Augment(int(numbers.integers(0, 4)), bool(seed % 2))
    drawn = augment.drawn(6, seed, 4)
    assert abs(drawn[:, :2]).max() <= augment.shift and (augment.flip or not drawn[:, 2].any())
    found = augment.applied(x, drawn, 3)
    assert np.array_equal(found, np.stack([_by_hand(one, how) for one, how in zip(x, drawn, strict=True)]))


def test_bands_move_along_their_axis_alone() -> None:
    x = np.arange(1, 21, dtype=np.float32).reshape(2, 2, 1, 5)
    drawn = np.array([[2, 1, 0], [-1, -2, 0]])
    found = Augment(2).applied(x, drawn, 3)
    assert found[0, 0, 0].tolist() == [0, 1, 2, 3, 4] and found[1, 1, 0].tolist() == [18, 19, 20, 0, 0]
    assert np.array_equal(Augment(2).applied(x[:, :, 0], drawn, 2), found[:, :, 0])


def test_seed_and_epoch_decide() -> None:
    x, y = np.random.default_rng(0).random((40, 1, 8, 8)), np.zeros(40, np.int64)

    def epoch(number: int, seed: int = 0, shuffle: bool = True) -> torch.Tensor:
        coding = Coding("direct", 2, augment=Augment(2, True))
        return torch.cat([b.x[0] for b in Arrays(x, y, coding, 16, seed, shuffle).epoch(number)])

    assert torch.equal(epoch(3), epoch(3))
    assert not torch.equal(epoch(3, shuffle=False), epoch(4, shuffle=False))
    assert not torch.equal(epoch(3, shuffle=False), epoch(3, 1, shuffle=False))
    # each sample gets what was drawn for it, whatever the order
    order = np.random.Generator(np.random.PCG64([0, 3])).permutation(40)
    assert torch.equal(epoch(3), epoch(3, shuffle=False)[torch.from_numpy(order)])
    plain = torch.cat([b.x[0] for b in Arrays(x, y, Coding("direct", 2), 16).epoch(3)])
    assert torch.equal(plain, torch.from_numpy(x[order].astype(np.float32)))
    with pytest.raises(DataError, match=r"augment\.shift"):
        Augment(-1)
