"""Voxel grids against the formula, voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import VoxelGrid
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, recordings, rows


def slow(events: Events, bins: int, split: bool) -> np.ndarray:
    """Zhu et al. 2019, equations 1 to 3."""
    assert events.width is not None and events.height is not None
    grid = np.zeros((bins, 2 if split else 1, events.height, events.width))
    for t, x, y, p in rows(events):
        moment = (bins - 1) * (t - int(events.t[0])) / (events.duration_us or 1)
        for b in range(bins):
            near = max(0.0, 1 - abs(b - moment))
            grid[b, p if split else 0, y, x] += near * (1 if split or p else -1)
    return grid


@given(events=recordings(), bins=st.integers(1, 9), split=st.booleans())
def test_by_definition(events: Events, bins: int, split: bool) -> None:
    grid = VoxelGrid(bins, "split" if split else "signed")(events)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid, slow(events, bins, split), atol=1e-5)
    total = len(events) if split else 2 * int(events.p.sum()) - len(events)
    assert abs(grid.sum() - total) < 1e-3


@given(events=recordings(least=1), bins=st.integers(1, 5))
def test_normalised(events: Events, bins: int) -> None:
    plain, grid = VoxelGrid(bins)(events), VoxelGrid(bins, normalise=True)(events)
    assert not grid[plain == 0].any()
    values = grid[plain != 0].astype(float)
    if values.size:
        assert abs(values.mean()) < 1e-5
        assert abs(values.std() - 1) < 1e-4 or np.ptp(plain[plain != 0]) < 1e-6


def test_ends_and_middle() -> None:
    grid = VoxelGrid(3)(made([100, 125, 200], [0, 1, 2]))
    assert grid[:, 0, 0, 0].tolist() == [1, 0, 0]
    assert grid[:, 0, 0, 1].tolist() == [0.5, 0.5, 0]
    assert grid[:, 0, 0, 2].tolist() == [0, 0, 1]


def test_empty_and_one() -> None:
    assert VoxelGrid(4)(made([])).shape == (4, 1, 3, 4)
    assert not VoxelGrid(4, normalise=True)(made([])).any()
    assert VoxelGrid(4)(made([5, 5]))[:, 0, 0, 0].tolist() == [2, 0, 0, 0]


def test_refused() -> None:
    with pytest.raises(DataError, match="bins"):
        VoxelGrid(0)
    with pytest.raises(DataError, match="signed or split"):
        VoxelGrid(3, "both")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="--sensor"):
        VoxelGrid(3)(made([1], width=None))
