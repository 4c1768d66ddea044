"""Time surfaces against the formula, pixel by pixel."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.datasets.transforms import TimeSurface
from spikeflow.errors import DataError
from spikeflow.events import Events
from tests.datasets.transforms.recordings import made, recordings, rows


def slow(events: Events, tau: float, dt: int, steps: int) -> np.ndarray:
    """exp(-(end - last) / tau) from the first event on."""
    assert events.width is not None and events.height is not None
    out = np.zeros((steps, 2, events.height, events.width))
    for k in range(steps):
        for t, x, y, p in rows(events):
            age = int(events.t[0]) + (k + 1) * dt - t
            if age > 0:
                out[k, p, y, x] = exp(-age / tau)  # rows are in order, so the last one stays
    return out


@given(
    events=recordings(), tau=st.floats(0.5, 1e4), dt=st.integers(1, 70), steps=st.none() | st.integers(1, 6)
)
def test_by_definition(events: Events, tau: float, dt: int, steps: int | None) -> None:
    surface = TimeSurface(tau, dt, steps)(events)
    if steps is None:
        assert len(surface) == (events.duration_us // dt + 1 if len(events) else 0)
    np.testing.assert_allclose(surface, slow(events, tau, dt, len(surface)), rtol=1e-5, atol=1e-30)


def test_from_zero() -> None:
    surface = TimeSurface(10.0, 10, start="zero")(made([5, 19], [0, 1]))
    np.testing.assert_allclose(surface[:, 1, 0, 0], np.exp([-0.5, -1.5]), rtol=1e-6)
    np.testing.assert_allclose(surface[:, 1, 0, 1], [0, np.exp(-0.1)], rtol=1e-6)
    assert not surface[:, 0].any()


def test_empty() -> None:
    assert TimeSurface(5.0, 10)(made([])).shape == (0, 2, 3, 4)
    assert TimeSurface(5.0, 10, 3)(made([])).shape == (3, 2, 3, 4)


def test_refused() -> None:
    with pytest.raises(DataError, match="tau"):
        TimeSurface(0, 10)
    with pytest.raises(DataError, match="dt_us"):
        TimeSurface(5.0, 0)
    with pytest.raises(DataError, match="--sensor"):
        TimeSurface(5.0, 10)(made([1], width=None))
    with pytest.raises(DataError, match="longer steps"):
        TimeSurface(5.0, 1)(made([0, 2**23], width=1000, height=1000))
