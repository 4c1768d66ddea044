"""Two-point cells on chips, in dense and in convolutional networks, a second stream and recurrence into either point.

Drawn: the networks of tests/neurons/test_two_point_everywhere, whose cells have options of their own, without bursts,
which chips refuse by name; behind them a read-out of normal weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.hw import map_network
from spikeflow.ir.graph import Edge
from spikeflow.ir.record import Network
from spikeflow.neurons import Integrator, Net, Neuron
from spikeflow.sim.classify import RunOptions, classify
from tests.neurons.test_two_point_everywhere import MODES, PORTS, SHAPES, T, cell, layer, streams


def network(mode: str, kind: str, second: str, back: str, seed: int) -> Network:
    """One input, of which a part is each stream, the cells between, and a read-out that adds up."""
    draw = np.random.default_rng([seed, MODES.index(mode)])
    model = replace(cell(mode, draw), burst=False, burst_threshold=1.0)
    inner = streams(model, kind, draw, second, back)
    torch.manual_seed(seed)
    size = 5 * int(np.prod(SHAPES[kind][0][1:]))
    nodes: dict[str, nn.Module] = dict(inner.modules_by_name())
    nodes |= {"seen": layer(kind, SHAPES[kind][0][0], draw), "heard": layer(kind, SHAPES[kind][0][0], draw)}
    nodes |= {"flat": nn.Flatten(), "answer": nn.Linear(size, 3), "readout": Neuron(Integrator())}
    edges = [replace(e, src="input") if e.src in ("what", "where") else e for e in inner.edges if e.dst != "output"]
    more = ("cells", "flat", "answer", "readout", "output")
    net = Net(nodes, [*edges, *(Edge(a, b) for a, b in zip(more, more[1:], strict=False))])
    return capture_trained(net, SHAPES[kind][0], dt=1e-3, steps=T)


@pytest.mark.parametrize("back", PORTS)
@pytest.mark.parametrize("second", PORTS)
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
def test_integers_answer_as_the_float_network(mode: str, kind: str, second: str, back: str) -> None:
    """The mapping's own integers agree in reference and engine bit for bit; its values follow the float network's."""
    chip = ("loihi2", "spinnaker2")[(second == back) ^ (kind == "conv")]
    found = network(mode, kind, second, back, 1)
    x = (np.random.default_rng(2).random((24, T, *SHAPES[kind][0])) < 0.4).astype(np.float32)
    mapping = map_network(found, chip, x[:16], accept_loss=True).as_network()
    wanted = classify(found, x).logits
    fixed, again = (classify(mapping, x, RunOptions(engine=e)).logits for e in ("cpp", "reference"))
    np.testing.assert_array_equal(fixed, again)
    # where spikes come back, one that differs is followed by others; found 0.943 to 1
    assert wanted.std() > 0.1 and np.corrcoef(wanted.ravel(), fixed.ravel())[0, 1] > 0.9
