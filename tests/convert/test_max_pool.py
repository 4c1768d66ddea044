"""Max pooling of trained networks: torch's values, counted behind neurons, or refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.calibration import split
from spikeflow.convert import capture_trained, convert
from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.network_file import load
from spikeflow.convert.passes.fold import fold
from spikeflow.convert.passes.forward import forward
from spikeflow.convert.passes.pools import behind_neurons
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import ConversionError, UnsupportedLayer
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, MaxPool, Population
from spikeflow.neurons import LIF, Neuron, Sequential
from spikeflow.sim import Constant, engine, reference, run
from tests.convert.networks import Calls, answers, apart, captured, samples, settled

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rank=st.integers(1, 2))
def test_windows_are_torchs(data: st.DataObject, rank: int) -> None:
    """Sizes of 3 to 12, kernels and strides of 1 to 4, padding up to half, dilation to 2, ceil_mode or not."""
    each = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    size, kernel, stride, dilation = each(5, 12), each(1, 4), each(1, 4), each(1, 2)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil = data.draw(st.booleans())
    if any(n + 2 * p < d * (k - 1) + 1 for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)):
        return
    make = {1: nn.MaxPool1d, 2: nn.MaxPool2d}[rank]
    module = make(kernel, stride, padding, dilation, ceil_mode=ceil)
    x = samples((3, *size), 2)
    graph = captured(module, (3, *size)).graph
    np.testing.assert_array_equal(forward(graph, x), answers(module, x))
    np.testing.assert_array_equal(reference.simulate(graph, Constant(x), 1).output[0], answers(module, x))


FORMS: dict[str, Any] = {
    "function": Calls(lambda m, x: F.max_pool2d(x, (2, 3), 2, 1)),
    "with indices": Calls(lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0]),
    "global": Calls(lambda m, x: F.adaptive_max_pool2d(x, 1)),
    "adaptive": nn.AdaptiveMaxPool2d((None, 3)),
    "adaptive with indices": Calls(lambda m, x: F.adaptive_max_pool2d(x, (4, 3), return_indices=True)[0]),
    "line": Calls(lambda m, x: F.max_pool1d(x.flatten(2), 3, 2, ceil_mode=True)),
    "adaptive line": Calls(lambda m, x: F.adaptive_max_pool1d(x.flatten(2), 8)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_as_module_and_as_archive(form: str, tmp_path: Path) -> None:
    module, x = FORMS[form], samples((2, 8, 9), 3)
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(2, 2, 8, 9),)), tmp_path / "n.pt2")
    archive: Any = load(tmp_path / "n.pt2")
    for graph in (captured(module, (2, 8, 9)).graph, capture(archive).graph):
        np.testing.assert_array_equal(forward(graph, x), answers(module, x))


def test_which_one_is_the_largest_is_refused() -> None:
    with pytest.raises(UnsupportedLayer, match="second result"):
        captured(Calls(lambda m, x: F.max_pool2d(x, 2, return_indices=True)[1].float()), (2, 8, 8))


def picture(*parts: nn.Module, last: int) -> nn.Module:
    return settled(nn.Sequential(*parts, nn.Flatten(), nn.Linear(last, 5)))


def conv(a: int = 1, b: int = 4) -> nn.Module:
    return nn.Conv2d(a, b, 3, padding=1)


class Residual(nn.Module):
    """A pool before a block, one on its way round, one behind the addition."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(4, 4), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.max_pool2d(F.relu(self.a(x)), 2)
        z = F.relu(self.b(y) + F.max_pool2d(y, 3, 1, 1))
        return self.c(F.max_pool2d(z, 2).flatten(1))


TAKEN: dict[str, nn.Module] = {
    "overlapping": picture(conv(), nn.ReLU(), nn.MaxPool2d(3, 2, 1), last=64),
    "ceil_mode": picture(nn.Conv2d(1, 4, 2), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), last=64),
    "dilated": picture(conv(), nn.ReLU(), nn.MaxPool2d(2, 2, 0, 2), last=36),
    "before the ReLU": picture(conv(), nn.MaxPool2d(2), nn.ReLU(), last=64),
    "before a batch norm": picture(
        conv(), nn.MaxPool2d(2), nn.BatchNorm2d(4, affine=False), nn.ReLU(), last=64
    ),
    "behind a batch norm": picture(conv(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(), last=64),
    "before a factor": picture(conv(), Calls(lambda m, x: F.max_pool2d(x, 2) * 0.5), nn.ReLU(), last=64),
    "before flatten": settled(
        nn.Sequential(conv(), nn.MaxPool2d(2), nn.Flatten(), nn.ReLU(), nn.Linear(64, 5))
    ),
    "two in a row": picture(conv(), nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(2), last=64),
    "two before the ReLU": picture(conv(), nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(2), nn.ReLU(), last=64),
    "on the image": picture(nn.MaxPool2d(2), conv(), nn.ReLU(), last=64),
    "on a scaled image": picture(Calls(lambda m, x: x / 255), nn.MaxPool2d(2), conv(), nn.ReLU(), last=64),
    "over everything": picture(conv(), nn.ReLU(), nn.AdaptiveMaxPool2d(1), last=4),
    "into an average": picture(conv(), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), last=16),
    "behind an average": picture(conv(), nn.ReLU(), nn.AvgPool2d(2), nn.MaxPool2d(2), last=16),
    "residual": settled(Residual()),
    "of a line": picture(nn.Flatten(), nn.Unflatten(1, (4, 16)), nn.ReLU(), nn.MaxPool1d(2), last=32),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_neuron_before_the_pool_changes_nothing_and_spikes_are_counted(name: str) -> None:
    """On the samples whose largest values are the thresholds, so that none is cut: 200 steps, 1 % of the answers."""
    module, x = TAKEN[name], samples((1, 8, 8), 60)
    graph = behind_neurons(captured(module, (1, 8, 8)).graph)
    assert apart(graph, module, x) < 2e-6
    made = convert(module, x, steps=200, percentile=100)
    pools = [node for node in made.network.graph.nodes.values() if isinstance(node, MaxPool)]
    assert pools and {p.mode for p in pools} == {"any" if "image" in name else "running"}
    assert _error(made.network.graph, module, x[split(x, ()).setting]) < 0.01


def _error(graph: Graph, module: nn.Module, x: np.ndarray, steps: int = 200) -> float:
    """How far the mean of what the read-out gets is from the network's answer, as a share of all answers."""
    ours = engine.simulate(graph, Constant(x), steps).outputs["output"][-1] / steps
    wanted = answers(module, x)
    return float(np.abs(ours - wanted).sum() / np.abs(wanted).sum())


def test_dead_channels_stay_silent() -> None:
    module = picture(conv(), nn.MaxPool2d(2), nn.ReLU(), last=64)
    first: Any = module.get_submodule("0")
    with torch.no_grad():
        first.bias[1] = -100.0
    x = samples((1, 8, 8), 60)
    made = convert(module, x, steps=100, percentile=100)
    assert _error(made.network.graph, module, x[split(x, ()).setting]) < 0.01


def test_pooled_counts_are_those_of_the_busiest_neuron() -> None:
    x = samples((1, 8, 8), 20)
    graph = convert(TAKEN["overlapping"], x, steps=50).network.graph
    (pool,) = graph.of_kind(MaxPool)
    source = graph.inputs_of(pool)[0].src
    found = engine.simulate(graph, Constant(x[:4]), 50, (pool, source)).recorded
    before, after = (found[n].dense().sum(axis=0) for n in (source, pool))
    node = graph.nodes[pool]
    assert isinstance(node, MaxPool) and set(np.unique(found[pool].value)) == {1}
    np.testing.assert_array_equal(after, node.largest(before))


def test_thresholds_without_data_pass_through_a_pool() -> None:
    module = picture(conv(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(), last=64)
    graph = convert(module, input_shape=(1, 8, 8)).network.graph
    batch_norm: Any = module.get_submodule("1")
    (name, _readout) = graph.of_kind(Population)
    node = graph.nodes[name]
    assert isinstance(node, Population)
    wanted = (batch_norm.bias + 3 * batch_norm.weight.abs()).detach().numpy()
    np.testing.assert_allclose(
        node.params["threshold"].ravel(), np.maximum(wanted, 2**-10 * wanted.max()), 1e-6
    )


def _two_readers() -> nn.Module:
    def run(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = F.max_pool2d(m.a(x), 2)
        return m.b(F.relu(y).flatten(1)) + m.c(y.flatten(1))

    return settled(Calls(run, a=conv(), b=nn.Linear(64, 5), c=nn.Linear(64, 5)))


def _turned() -> nn.Module:
    module = picture(conv(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU(), last=64)
    norm: Any = module.get_submodule("2")
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -1.0, 0.5, -2.0]))
    return module


def _sum() -> nn.Module:
    run = lambda m, x: m.c(F.max_pool2d(F.relu(m.a(x)) + F.relu(m.b(x)), 2).flatten(1))  # noqa: E731
    return settled(Calls(run, a=conv(), b=conv(), c=nn.Linear(64, 5)))


def _mixed() -> nn.Module:
    """The input beside rectified values, and channels of different thresholds in one, both pooled."""
    run = lambda m, x: m.c(F.max_pool2d(torch.cat([x, F.relu(m.a(x))], 1), 2).flatten(1))  # noqa: E731
    return settled(Calls(run, a=conv(), c=nn.Linear(80, 5)))


def _shuffled() -> nn.Module:
    run = lambda m, x: m.c(F.max_pool2d(F.pixel_shuffle(F.relu(m.a(x)), 2), 3, 2, 1).flatten(1))  # noqa: E731
    return settled(Calls(run, a=conv(), c=nn.Linear(64, 5)))


ANY: dict[str, tuple[nn.Module, bool]] = {  # and whether rounds are needed
    "no neuron": (picture(conv(), nn.ReLU(), conv(4, 4), nn.MaxPool2d(2), last=64), True),
    "padded": (picture(conv(), nn.MaxPool2d(3, 2, 1), last=64), True),
    "two readers": (_two_readers(), True),
    "a batch norm that turns": (_turned(), True),
    "a sum": (_sum(), False),
    "a negative factor": (
        picture(conv(), Calls(lambda m, x: -F.max_pool2d(x, 2)), nn.ReLU(), last=64),
        True,
    ),
    "the input beside spikes": (_mixed(), True),
    "shuffled channels": (_shuffled(), False),
}


@pytest.mark.filterwarnings("ignore::spikeflow.SpikeflowWarning")
@pytest.mark.parametrize("name", ANY)
def test_any_values_are_pooled(name: str) -> None:
    """300 samples: values of torch at stage ann; within 3 % of them after 256 steps; engine and reference agree."""
    module, rounds = ANY[name]
    x = samples((1, 8, 8), 300)
    made = convert(module, x, steps=256)
    assert bool(made.ann.of_kind(MaxPool)) != rounds
    assert apart(made.ann, module, x) < 1e-5
    assert made.fidelity.worst is not None and made.fidelity.worst.error is not None
    assert made.fidelity.worst.error < 0.03
    found = [run(made.network.graph, Constant(x[:2]), 20, engine=e).output for e in ("cpp", "reference")]
    np.testing.assert_array_equal(*found)


def test_input_codings() -> None:
    """A pool on the image counts the spikes of rate coding; of two channels for signs it has no form."""
    x = np.abs(samples((1, 8, 8), 40))
    pools = convert(TAKEN["on the image"], x, coding="rate").network.graph
    assert [n.mode for n in pools.nodes.values() if isinstance(n, MaxPool)] == ["running"]
    with pytest.raises(ConversionError, match="0: pools values of input.onoff"):
        convert(TAKEN["on the image"], x, coding="onoff")


def test_a_trained_spiking_network_pools_what_it_sees() -> None:
    torch.manual_seed(0)
    net = Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        Neuron(LIF(0.8, 0.3)),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 6, 3),
        nn.MaxPool2d(2),
        Neuron(LIF(0.8, 0.3)),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    settled(net)
    network = capture_trained(net, (2, 8, 8), dt=1e-3, steps=20)
    stages.check(network.graph, "snn")
    modes = [n.mode for n in network.graph.nodes.values() if isinstance(n, MaxPool)]
    assert modes == ["any", "any"]
    x = (np.random.default_rng(0).random((20, 16, 2, 8, 8)) < 0.3).astype(np.float32)
    found = compare_layers(net, network, x, engine="reference")
    assert found.equal and found.unexplained == 0, str(found)


def _trained() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A small network with two max pools, one before its ReLU, trained on the first 1,400 digits, seed 0."""
    torch.manual_seed(0)
    digits = load_digits()
    x, y = (digits.images / 16).astype(np.float32)[:, None], digits.target
    net = nn.Sequential(
        conv(1, 16), nn.MaxPool2d(2), nn.ReLU(), conv(16, 32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    inputs, labels = torch.from_numpy(x[:1400]), torch.from_numpy(y[:1400])
    for _ in range(12):
        for part in torch.randperm(1400).split(100):
            optimiser.zero_grad()
            F.cross_entropy(net(inputs[part]), labels[part]).backward()
            optimiser.step()
    return net.eval(), x, y


def test_a_trained_network_answers_as_before() -> None:
    net, x, y = _trained()
    made = convert(net, x[:1400], y[:1400], steps=32)
    worst = made.fidelity.worst
    assert worst is not None and worst.agreement >= 0.97
    ours = engine.simulate(made.network.graph, Constant(x[1400:]), 32).outputs["output"][-1].argmax(1)
    assert (ours == y[1400:]).mean() > (answers(net, x[1400:]).argmax(1) == y[1400:]).mean() - 0.02


class LeNet(nn.Module):
    """The network of ``pretrained/mnist_lenet``: its pools stand before its ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def test_a_network_that_others_trained(data_folder: Path) -> None:
    net, path = LeNet().eval(), data_folder / "pretrained/mnist_lenet/lenet_mnist_model.pth"
    net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    raw = gzip.decompress((data_folder / "MNIST/raw/t10k-images-idx3-ubyte.gz").read_bytes())
    x = np.frombuffer(raw, np.uint8, 400 * 784, 16).reshape(-1, 1, 28, 28).astype(np.float32) / 255
    made = convert(net, x, steps=64)
    assert made.fidelity.worst is not None and made.fidelity.worst.agreement >= 0.96
    graph: Graph = made.network.graph
    assert [n.mode for n in graph.nodes.values() if isinstance(n, MaxPool)] == ["running", "running"]
    ann = fold(behind_neurons(captured(net, (1, 28, 28)).graph))
    assert len(ann.of_kind(Activation)) == 3 and apart(ann, net, x[:50]) < 1e-5


def test_the_other_form_of_pooling_is_an_option() -> None:
    net = picture(conv(), nn.ReLU(), nn.MaxPool2d(2), conv(4, 4), nn.ReLU(), nn.MaxPool2d(2), last=16)
    x = samples((1, 8, 8), 40)
    for mode, word in (("running", "exact"), ("any", "approximated")):
        made = convert(net, x, steps=8, max_pool=mode)
        graph = made.network.graph
        assert {graph.nodes[n].mode for n in graph.of_kind(MaxPool)} == {mode}
        assert {v.word for v in made.report.verdicts if "max_pool" in v.operation} == {word}
    with pytest.raises(ConversionError, match="--max-pool.*running"):
        convert(net, x, max_pool="gate")
