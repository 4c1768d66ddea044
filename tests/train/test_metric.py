"""Metrics: by hand, and work equal to what the engine counts on the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import DataError, UnsupportedLayer
from spikeflow.ir.nodes import Input
from spikeflow.neurons import LIF, Integrator, Neuron, Recurrent, Residual, Sequential
from spikeflow.neurons.ilif import ILIF
from spikeflow.neurons.leaky_integrator import LeakyIntegrator
from spikeflow.neurons.model import NeuronModel
from spikeflow.sim import Dense, run
from spikeflow.train.metric import accuracy, decision_steps, work
from spikeflow.train.regularise import fan_out, synaptic_operations

T, B = 6, 3


def _net(seed: int) -> Sequential:
    """Convolutions with stride, padding and groups, a way around, a recurrent layer; some weights are 0."""
    torch.manual_seed(seed)
    net = Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        Neuron(LIF(0.8, 0.3)),
        Residual(nn.Conv2d(4, 4, 3, padding=1, groups=2)),
        Neuron(LIF(0.8, 0.3)),
        nn.Conv2d(4, 4, 3, stride=2, dilation=1),
        Neuron(LIF(0.8, 0.1)),
        nn.Flatten(),
        nn.Linear(16, 6),
        Recurrent(Neuron(LIF(0.9, 0.2)), nn.Linear(6, 6)),
        nn.Linear(6, 3),
        Neuron(Integrator()),
    )
    with torch.no_grad():
        net.layers[7].weight[0] = 0
        net.layers[0].weight[:, 1, 1] = 0
    return net.eval()


@pytest.mark.parametrize("kind", ("spikes", "current"))
@pytest.mark.parametrize("seed", range(3))
def test_work_is_what_the_engine_counts(seed: int, kind: str) -> None:
    net = _net(seed)
    shape = (T, B, 2, 6, 6)
    x = (torch.rand(shape) < 0.4).float() if kind == "spikes" else torch.randn(shape)
    graph = capture_trained(net, Input((2, 6, 6), kind), dt=1e-3, steps=T).graph
    counts = run(graph, Dense(x.numpy()), T).counts
    found = work(net, x)
    assert found.accumulates * B == sum(c.accumulates for c in counts.values())
    assert found.multiply_accumulates * B == sum(c.multiply_accumulates for c in counts.values())
    spiking = [n for n, c in counts.items() if getattr(graph.nodes[n], "model", "") == "LIF"]
    spikes = sum(counts[n].spikes for n in spiking)
    places = T * B * sum(int(np.prod(graph.shapes[n])) for n in spiking)
    assert found.spikes * B == spikes > 0 and found.activation_sparsity == pytest.approx(1 - spikes / places)
    weights = [layer.weight for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert found.connection_sparsity == pytest.approx(zeros / sum(w.numel() for w in weights))
    assert 0 < found.effective_accumulates < found.accumulates < found.dense
    assert found.footprint == sum(4 * t.numel() for t in (*net.parameters(), *net.buffers()))


@pytest.mark.parametrize("read_out", (Integrator(), LeakyIntegrator(0.9)), ids=lambda m: m.name)
def test_work_of_graded_spikes_is_what_the_engine_counts(read_out: NeuronModel) -> None:
    torch.manual_seed(0)
    cells = Neuron(ILIF(0.8))
    net = Sequential(nn.Linear(5, 20), cells, nn.Linear(20, 3), Neuron(read_out)).eval()
    with torch.no_grad():
        net.layers[0].weight.mul_(8)
    x = (torch.rand(T, B, 5) < 0.5).float()
    graph = capture_trained(net, (5,), dt=1e-3, steps=T).graph
    counts, found = run(graph, Dense(x.numpy()), T).counts, work(net, x)
    assert found.accumulates * B == sum(c.accumulates for c in counts.values())
    assert found.multiply_accumulates * B == sum(c.multiply_accumulates for c in counts.values()) > 0
    assert found.spikes * B == counts["layers.1"].spikes > 0


def test_effective_operations_of_a_layer_by_hand() -> None:
    layer = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    found = work(Sequential(layer), torch.tensor([[[1.0, 1.0, 0.5]], [[0.0, -1.0, 1.0]]]))
    assert (found.accumulates, found.multiply_accumulates) == (8, 2)
    assert (found.effective_accumulates, found.effective_multiply_accumulates) == (1 + 0 + 2, 2)
    assert found.dense == 12 and found.activation_sparsity == 1 and found.footprint == 24


def test_work_leaves_the_network_as_it_was() -> None:
    net = _net(0).train()
    net.layers[0].eval()
    work(net, torch.rand(T, B, 2, 6, 6))
    assert net.training and not net.layers[0].training and not net.layers[0]._forward_pre_hooks
    with pytest.raises(UnsupportedLayer, match="Sequential or Net"):
        work(nn.Linear(2, 2), torch.rand(1, 1, 2))
    with pytest.raises(DataError, match="at least one step"):
        work(net, torch.rand(0, B, 2, 6, 6))


def test_the_regulariser_is_the_number_of_operations() -> None:
    net = _net(1)
    x = (torch.rand(T, B, 2, 6, 6) < 0.4).float()
    names = ("layers.1", "layers.3", "layers.5")
    found, _ = net(x, record=names)
    fans = {
        "layers.1": fan_out(net.layers[2].nodes["body"], (4, 6, 6)),
        "layers.3": fan_out(net.layers[4], (4, 6, 6)),
        "layers.5": fan_out(net.layers[7], (16,)).reshape(4, 2, 2),
    }
    counts = run(capture_trained(net, (2, 6, 6), dt=1e-3, steps=T).graph, Dense(x.numpy()), T).counts
    wanted = sum(counts[n].accumulates for n in ("layers.2.body", "layers.4", "layers.7"))
    cost = synaptic_operations({n: found[n] for n in names}, fans)
    assert float(cost) * B == pytest.approx(wanted)
    cost.backward()
    assert net.layers[0].weight.grad.abs().sum() > 0


def test_accuracy_and_decision() -> None:
    draw = np.random.default_rng(0)
    outputs = torch.tensor(draw.integers(0, 4, (9, 50, 3)).astype(np.float32))  # with many ties
    answers = outputs.numpy().argmax(-1)
    labels = torch.tensor(draw.integers(0, 3, 50))
    assert accuracy(outputs, labels) == (answers[-1] == labels.numpy()).mean()
    of_steps = torch.tensor(draw.integers(0, 3, (9, 50)))
    assert accuracy(outputs, of_steps) == (answers == of_steps.numpy()).mean()
    steps = decision_steps(outputs).numpy()
    for b, found in enumerate(steps):
        assert (answers[found - 1 :, b] == answers[-1, b]).all()
        assert found == 1 or answers[found - 2, b] != answers[-1, b]
    assert decision_steps(outputs[:1]).tolist() == [1] * 50
