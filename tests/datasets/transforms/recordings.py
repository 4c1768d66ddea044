"""Recordings for the tests: any small one (hypothesis), and counting written out event by event."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from spikeflow.events import Events

STARTS = (0, 1, 2**20, 2**40)


@st.composite
def recordings(
    draw: st.DrawFn, sides: int = 9, least: int = 0, start: int | None = None, span: int = 60
) -> Events:
    """Events with many equal times and pixels, on sensors of odd and even sides, from 0 or from late times on."""
    width, height = draw(st.integers(1, sides)), draw(st.integers(1, sides))
    begin = draw(st.sampled_from(STARTS)) if start is None else start
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, span), st.integers(0, width - 1), st.integers(0, height - 1), st.integers(0, 1)
            ),
            min_size=least,
            max_size=40,
        )
    )
    t, x, y, p = np.array(rows, np.int64).reshape(-1, 4).T
    return Events.sorted(t + begin, x, y, p, width=width, height=height, dropped={"truncated": 1})


def made(t: list[int], x: list[int] | None = None, y: list[int] | None = None, **rest: object) -> Events:
    """Events at these times; without pixels at (0, 0), all on, unless `rest` says otherwise."""
    columns = {"p": [1] * len(t), "width": 4, "height": 3} | rest
    return Events(
        np.array(t, np.int64),
        np.array([0] * len(t) if x is None else x, np.uint16),
        np.array([0] * len(t) if y is None else y, np.uint16),
        np.array(columns.pop("p"), np.uint8),
        **columns,  # type: ignore[arg-type]
    )


def rows(events: Events) -> list[tuple[int, int, int, int]]:
    """The events as a list of (t, x, y, p)."""
    return list(zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True))


def counted(events: Events, dt: int, steps: int) -> np.ndarray:
    """Counts in steps of `dt` from time 0, one event after the other; events after the last step are an error."""
    assert events.width is not None and events.height is not None
    out = np.zeros((steps, 2, events.height, events.width), np.float32)
    for t, x, y, p in rows(events):
        out[t // dt, p, y, x] += 1
    return out
