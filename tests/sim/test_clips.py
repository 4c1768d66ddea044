"""Law: what overflow changes is counted at the end of the format where it left, in the engine as in the reference."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.ir.fixed import NARROWINGS, Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Population
from spikeflow.ir.ops import Recorder
from spikeflow.sim import Dense, run


def ends(mode: str, bits: int) -> tuple[int, int]:
    """The smallest and the largest value that the format leaves alone."""
    half = 1 << (bits - 1)
    return {"symmetric": (1 - half, half - 1), "fold": (1 - half, half)}.get(mode, (-half, half - 1))


@pytest.mark.parametrize("mode", NARROWINGS)
@pytest.mark.parametrize("engine", ["cpp", "reference"])
@pytest.mark.parametrize("seed", range(8))
def test_clips_are_counted_at_their_end(mode: str, engine: str, seed: int) -> None:
    """Formats of 2 to 40 bits, values up to 2**44 in magnitude, 1 to 2,000 neurons, 1 to 3 samples."""
    rng = np.random.default_rng(seed)
    bits, size, samples = int(rng.integers(2, 41)), int(rng.integers(1, 2001)), int(rng.integers(1, 4))
    recorder = Recorder(("in",), ("v",), ())
    kept = recorder.ops.narrow(recorder.x[0], bits, mode, "v")
    cells = Population("t", recorder.program(kept, [kept]), {}, (size,), 0, {}, {"v": Fixed(62)})
    graph = Graph(
        {"x": Input((size,), "current", Fixed(45)), "p": cells, "y": Output()},
        (Edge("x", "p", "in"), Edge("p", "y")),
    )
    x = rng.integers(-(2**44), 2**44, (5, samples, size)) >> rng.integers(0, 44, (5, samples, size))
    low, high = ends(mode, bits)
    edges = rng.choice([low - 1, low, 0, high, high + 1], x.shape)
    x = np.where(rng.random(x.shape) < 0.3, np.clip(edges, -(2**44), 2**44 - 1), x)
    counts = run(graph, Dense(x), 5, engine=engine).counts["p"]
    assert counts.narrowed_low == {"v": int((x < low).sum())}
    assert counts.narrowed_high == {"v": int((x > high).sum())}
    assert counts.narrowed == {"v": int(((x < low) | (x > high)).sum())}
