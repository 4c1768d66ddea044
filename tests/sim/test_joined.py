"""Networks of several inputs: samples by name give what `sim.run` gives, and are mapped.

Drawn: 2 to 4 inputs of rank 1 to 3 with sizes 1 to 5, of spikes (with a time axis) or of currents, 1 to 7 samples,
batches of 1 to 7; a layer of 5 LIF neurons that adds them up, and a read-out of 3.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.events import Spikes
from spikeflow.hw import map_network
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Flatten, Input, Linear, Node, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF, Integrator
from spikeflow.sim import Constant, run
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.inputs import RunInput

STEPS = 9
SEEDS = range(12)


def drawn(seed: int) -> tuple[Network, dict[str, np.ndarray]]:
    """A network, and samples by name."""
    rng = np.random.default_rng(seed)
    current, samples = bool(seed % 2), int(rng.integers(1, 8))
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    x: dict[str, np.ndarray] = {}
    for i in range(int(rng.integers(2, 5))):
        shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 4)))
        nodes |= {f"in {i}": Input(shape, "current" if current else "spikes"), f"flat {i}": Flatten()}
        nodes[f"w{i}"] = Linear(rng.normal(size=(5, prod(shape))).astype(np.float32))
        edges += [Edge(f"in {i}", f"flat {i}"), Edge(f"flat {i}", f"w{i}"), Edge(f"w{i}", "cell")]
        size = (samples, *shape) if current else (samples, STEPS, *shape)
        x[f"in {i}"] = (rng.random(size) < 0.4).astype(np.float32) * (i + 1 if current else 1)
    nodes |= {"cell": LIF(0.9).node((5,)), "v": Linear(rng.normal(size=(3, 5)).astype(np.float32))}
    nodes |= {"read": Integrator().node((3,)), "out": Output()}
    edges += [Edge("cell", "v"), Edge("v", "read"), Edge("read", "out")]
    record = RunRecord(STEPS, "direct" if current else "spikes", readout="read")
    return Network(Graph(nodes, tuple(edges)), record), x


def by_hand(network: Network, x: dict[str, np.ndarray]) -> np.ndarray:
    given: dict[str, RunInput] = {}
    for name, array in x.items():
        spikes = network.record.coding == "spikes"
        given[name] = Spikes.from_dense(np.moveaxis(array, 1, 0)) if spikes else Constant(array)
    return run(network.graph, given, STEPS, engine="reference").output


@pytest.mark.parametrize("seed", SEEDS)
def test_samples_by_name_are_those_of_a_run(seed: int) -> None:
    network, x = drawn(seed)
    want = by_hand(network, x)
    mixed = dict(sorted(x.items(), key=lambda item: item[1].size))  # the order of the names says nothing
    for options in (RunOptions(), RunOptions("reference", batch=1 + seed % 7)):
        assert np.array_equal(classify(network, mixed, options).logits, want)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_mapped_network_takes_them_too(seed: int) -> None:
    network, x = drawn(seed)
    mapping = map_network(network, "loihi2", x, accept_loss=True)
    mapped = classify(mapping.as_network(), x)
    assert mapped.logits.shape == (STEPS, len(x["in 0"]), 3)
    again = {name: np.repeat(array, 3, axis=0) for name, array in x.items()}
    assert np.array_equal(classify(mapping.as_network(), again).logits, np.repeat(mapped.logits, 3, axis=1))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_does_not_fit_is_refused(seed: int) -> None:
    network, x = drawn(seed)
    first, *others = x
    wrong: tuple[Any, ...] = (
        {name: x[name] for name in others},
        {**x, "more": x[first]},
        {**x, first: np.concatenate([x[first], x[first]])},
        {**x, first: x[first][..., None]},
        {**x, first: np.full_like(x[first], np.nan)},
        x[first][..., None],
    )
    for given in wrong:
        with pytest.raises(DataError):
            classify(network, given)
