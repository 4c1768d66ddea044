"""Law: the digest of a run is one for threads, instruction sets, engines, cuts and forms of a file; it changes with any bit.

On networks of populations as `test_sharing` draws them and random graphs as `test_cut` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeflow.events import Spikes
from spikeflow.sim import engine, process, reference
from spikeflow.sim.digest import digest_of
from spikeflow.sim.result import Result
from tests.sim.test_cut import drawn, everything, joined, stretch
from tests.sim.test_sharing import a_network, entering


@pytest.mark.parametrize("fixed", [False, True], ids=["float", "integer"])
@pytest.mark.parametrize("seed", range(6))
def test_every_way_to_run_has_one_digest(seed: int, fixed: bool) -> None:
    _, graph, inputs, samples, at = drawn(seed, fixed)
    record = everything(graph)
    found = {reference.prepare(graph)(inputs, at[-1], record).digest}
    for isa in range(3):
        for threads in (1, 2):
            found.add(engine.prepare(graph, threads, isa)(inputs, at[-1], record).digest)
    live = engine.prepare(graph, 1).begin(samples)
    pairs = zip(at, at[1:], strict=False)
    found.add(joined([live.advance(stretch(inputs, a, b), b - a, record) for a, b in pairs]).digest)
    assert len(found) == 1


def test_threads_that_share_a_network_have_the_digest_of_one(monkeypatch: Any) -> None:
    monkeypatch.setattr(process, "shares_of", lambda graph, threads: threads)
    rng = np.random.default_rng(5)
    graph = a_network(rng, 8)
    inputs = entering(rng, graph, 30, 1)
    assert len({engine.prepare(graph, n)(inputs, 30, ["a"]).digest for n in (1, 2, 3)}) == 1


def a_result(x: np.ndarray, spikes: Spikes) -> Result:
    return Result(3, 2, {"out": x}, {}, {"n": spikes}, 0.0)


def test_any_bit_changes_it_and_nans_are_one() -> None:
    x = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    spikes = Spikes.from_dense((x % 5 == 0).astype(np.float32))
    first = a_result(x, spikes).digest
    assert first == a_result(x.copy(), spikes).digest and len(first) == 64
    others = [np.nextafter(x, np.float32(99)), x.reshape(3, 2, 2, 2), x.astype(np.int64), -x]
    found = {a_result(other, spikes).digest for other in others}
    moved = Spikes.from_dense(np.roll(spikes.dense(), 1, axis=0))
    found |= {a_result(x, moved).digest, digest_of({"out": x}), first}
    assert len(found) == len(others) + 3
    zero, minus = np.zeros((3, 2, 4), np.float32), np.full((3, 2, 4), -0.0, np.float32)
    assert a_result(zero, spikes).digest != a_result(minus, spikes).digest
    nan, other = zero.copy(), zero.copy()
    nan.view(np.uint32)[:] = 0x7FC00000
    other.view(np.uint32)[:] = 0xFFC00123
    assert a_result(nan, spikes).digest == a_result(other, spikes).digest
    assert digest_of({"a": x, "b": zero}) == digest_of({"b": zero, "a": x}) != digest_of({"a": zero, "b": x})
