"""Converted networks of one drawn operation between neurons: engine and reference give the same bits, as floats
and as the integers of two chips, rebuilt from what a chip would load.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.passes.balance import balance, readout_of
from spikeflow.convert.passes.fold import fold_batch_norm
from spikeflow.convert.passes.pools import behind_neurons, pooled
from spikeflow.errors import HardwareError
from spikeflow.hw import map_network
from spikeflow.hw.chips.chip import load
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, MaxPool
from spikeflow.ir.record import Network, RunRecord
from spikeflow.sim import Constant, run
from tests.convert.networks import Calls, captured, samples, settled
from tests.convert.operations import DRAWN, Draw

STEPS, EACH, SAMPLES = 6, 8, 40


def spiking(kind: str, seed: int, pool: str = "running") -> tuple[Network, np.ndarray[Any, Any]]:
    """Rectifier, operation, rectifier, weights; and samples."""
    operation, shape = DRAWN[kind](Draw(seed))
    count = operation(torch.zeros(1, *shape)).numel() if kind != "norm" else int(np.prod(shape))
    module = Calls(
        lambda m, x: m.head(F.relu(m.inside(F.relu(x))).reshape(len(x), -1)),
        inside=operation,
        head=nn.Linear(count, 3),
    )
    x = samples(shape, SAMPLES, seed)
    ann = fold_batch_norm(behind_neurons(captured(settled(module, seed), shape).graph)).graph
    thresholds = {n: np.ones(ann.shapes[n][:1], np.float32) for n in ann.of_kind(Activation)}
    graph = pooled(balance(ann, thresholds), pool)
    return Network(graph, RunRecord(STEPS, "direct", readout=readout_of(graph), input_shape=shape)), x


def same(graph: Graph, inputs: Any) -> None:
    """The outputs of both runners."""
    kept = tuple(n for n, node in graph.nodes.items() if type(node).__name__ != "Output")
    expected, found = (run(graph, inputs, STEPS, engine=e, record=kept) for e in ("reference", "cpp"))
    for name in graph.outputs:
        np.testing.assert_array_equal(found.outputs[name], expected.outputs[name])
    for name in kept:
        np.testing.assert_array_equal(found.recorded[name].dense(), expected.recorded[name].dense(), name)


@pytest.mark.parametrize("kind", DRAWN)
def test_the_engine_gives_the_references_bits(kind: str) -> None:
    for seed in range(EACH):
        network, x = spiking(kind, seed, ("running", "any")[seed % 2])
        same(network.graph, Constant(x[:3]))


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("kind", DRAWN)
def test_so_it_does_in_the_integers_of_a_chip(kind: str, chip: str) -> None:
    """A draw that does not fit is refused for what the chip lacks, and the next one taken."""
    for seed in range(10):
        network, x = spiking(kind, seed)
        try:
            graph = map_network(network, load(chip), x, accept_loss=True).as_graph()
            break
        except HardwareError as error:
            assert all(v.node and v.available for v in error.violations)
    draw = np.random.default_rng(seed)
    same(graph, {n: Constant(draw.integers(-100, 100, (2, *graph.shapes[n]))) for n in graph.inputs})


def test_both_forms_of_max_pooling_lie_where_they_should() -> None:
    """`running` sends what the busiest source sends; `any` at least that, at most one a step and all together."""
    for seed in range(40):
        draw = np.random.default_rng(seed)
        spikes = (draw.random((STEPS, 2, 1, 3, 8)) < draw.choice([0.1, 0.4, 0.9])).astype(np.float32)
        found = {}
        for mode in ("running", "any"):
            pool = MaxPool((2, 2), (1, 2), ((0, 0), (0, 0)), (1, 1), mode)
            memory = {
                name: np.zeros((2, *shape), np.float32) for name, shape in pool.memory([(1, 3, 8)]).items()
            }
            total = np.zeros((2, 1, 2, 4), np.float32)
            for x in spikes:
                y, memory = pool.value([x], memory)
                assert set(np.unique(y)) <= {0, 1}
                total = total + y
            found[mode] = total
        largest = pool.largest(spikes.sum(0))
        windows = np.lib.stride_tricks.sliding_window_view(spikes.sum(0), (2, 2), (2, 3))[:, :, :, ::2]
        np.testing.assert_array_equal(found["running"], largest)
        assert (found["any"] >= largest).all()
        assert (found["any"] <= np.minimum(STEPS, windows.sum((-1, -2)))).all()
