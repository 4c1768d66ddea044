"""How answers are read: the steps until held-back samples agree, and the identity of every neuron."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

from spikeflow.calibration import split
from spikeflow.convert import Conversion, convert
from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.passes.balance import balance
from spikeflow.convert.passes.thresholds import Thresholds
from spikeflow.convert.verify.answers import Case, ann_outputs, later, verify
from spikeflow.convert.verify.identity import check_identity
from spikeflow.convert.verify.read_out import settled as read_out
from spikeflow.convert.verify.until import Until, steps_until, worst
from spikeflow.errors import ConversionError, SimulationError
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Activation, Input, Linear, Output, Population
from spikeflow.ir.record import Network, OutputRecord, RunRecord
from spikeflow.sim.classify import RunOptions, evaluate
from tests.convert.networks import Calls, ResNet, samples, settled, small_cnn

X = samples((1, 8, 8), 200)


def branches() -> nn.Module:
    """Max and average pooling, a skip and two outputs' worth of ReLU."""
    parts: dict[str, nn.Module] = {
        "a": nn.Conv2d(1, 4, 3, padding=1),
        "b": nn.Conv2d(4, 4, 3, padding=1),
        "pool": nn.MaxPool2d(2),
        "last": nn.Linear(64, 5),
    }
    relu = nn.functional.relu
    return Calls(lambda m, x: m.last(m.pool(relu(m.b(relu(m.a(x))) + relu(m.a(x)))).flatten(1)), **parts)


@pytest.fixture(scope="module")
def made() -> Conversion:
    return convert(settled(small_cnn()), X, until="drop<=4")


@pytest.mark.parametrize(
    "text, share",
    [("drop<=0.5", 0.995), (" drop <= 2 ", 0.98), ("agreement>=0.99", 0.99), ("agreement>=99.5%", 0.995)],
)
def test_what_is_asked_for_is_read(text: str, share: float) -> None:
    assert Until.of(text).agreement == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    "text, told",
    [
        ("drop", "not understood"),
        ("drop>=1", "other sign"),
        ("agreement<=0.9", "other sign"),
        ("agreement>=99", "agreement>=99%"),
        ("drop<=-1", "outside"),
        ("drop<=101", "outside"),
        ("drop<=1e400", "outside"),
        ("drop<=1e", "no number"),
        ("accuracy>=0.9", "not understood"),
        ("drop<=1%2", "not understood"),
    ],
)
def test_what_is_not_understood_is_told(text: str, told: str) -> None:
    with pytest.raises(ConversionError, match=told):
        Until.of(text)


def test_the_steps_are_the_fewest(made: Conversion) -> None:
    reached = made.report.read_out.until
    assert reached is not None and made.network.record.steps == reached.steps == made.report.options.steps
    held = X[split(X).held_back]
    run = evaluate(made.network, held, RunOptions(steps=reached.tried))
    ann = ann_outputs(made.ann, held)
    found = {t: worst(run, made.network, ann, t).agreement for t in range(1, reached.tried + 1)}
    assert min(t for t, share in found.items() if share >= 0.96) == reached.steps > 1
    assert found[reached.steps] == reached.agreement and reached.samples == len(held)
    assert min(found[t] for t in found if t >= reached.steps) == reached.later
    assert f"{reached.steps} steps" in made.report.to_text() and reached.low < reached.agreement


def test_steps_are_looked_for_beyond_the_first_stretch() -> None:
    """Hand-made: the ANN's answers are those after 70 steps of a network that settles late."""
    network = convert(settled(small_cnn()), X).network
    x = X[:40]
    late = evaluate(network, x, RunOptions(steps=128))
    answers = {"output": late.in_units(70).astype(np.float32)}
    shares = [worst(late, network, answers, t).agreement for t in range(1, 129)]
    first = next(t for t, share in enumerate(shares, 1) if share == 1)
    assert steps_until(network, answers, x, Until.of("drop<=0"), 128).steps == first


def test_what_is_never_reached_is_refused_with_the_best() -> None:
    network = convert(settled(small_cnn()), X).network
    wrong = {"output": -evaluate(network, X[:30], RunOptions(steps=8)).in_units(8)}
    with pytest.raises(
        ConversionError, match=r"up to 8 reaches drop<=1: the best is .* on 30 .* after \d+ steps"
    ):
        steps_until(network, wrong, X[:30], Until.of("drop<=1"), 8)
    with pytest.raises(ConversionError, match="held back"):
        convert(settled(small_cnn()), input_shape=(1, 8, 8), until="drop<=1")


@pytest.mark.parametrize(
    "module, shape, settings",
    [
        (small_cnn(), (1, 8, 8), {"percentile": 60.0}),
        (branches(), (1, 8, 8), {}),
        (branches(), (1, 8, 8), {"coding": "onoff"}),
        (ResNet(1, 4), (3, 8, 8), {}),
    ],
)
def test_every_neuron_keeps_the_identity(module: nn.Module, shape: Any, settings: Any) -> None:
    made = convert(settled(module), samples(shape, 60), steps=20, check_identity=True, **settings)
    found = made.report.read_out.identity
    assert found is not None and 0 < found.bound <= 1
    assert found.neurons == sum(np.prod(x.shape) for x in made.report.layers) and found.steps == 20
    assert "holds for each of" in made.report.to_text()


@pytest.mark.parametrize("alphabet", ["binary", "signed"])
def test_neurons_that_follow_a_function_keep_it_too(alphabet: str) -> None:
    module = nn.Sequential(nn.Linear(6, 16), nn.ReLU6(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    made = convert(settled(module), samples((6,), 60), steps=20, check_identity=True, alphabet=alphabet)
    found = made.report.read_out.identity
    assert found is not None and found.neurons == 32 and 0 < found.bound <= 1


def test_without_data_the_identity_is_held_on_random_samples() -> None:
    made = convert(settled(small_cnn()), input_shape=(1, 8, 8), check_identity=True)
    assert made.report.read_out.identity is not None


def test_a_neuron_that_breaks_the_identity_is_named(made: Conversion) -> None:
    node = made.network.graph.nodes["6"]
    assert isinstance(node, Population)
    theta = np.broadcast_to(node.params["threshold"], node.shape).copy()
    theta[3, 1, 2] *= 1.001  # spikes of neuron 3 * 16 + 6 take off a little more than they stand for
    wrong = replace(node, params={"threshold": theta})
    graph = made.network.graph.with_nodes({"6": wrong})
    assert check_identity(Network(graph, made.network.record), X[:4]).bound <= 1
    leaky = convert(settled(small_cnn()), X, reset="zero").network
    with pytest.raises(SimulationError, match=r"neuron \d+ breaks the identity .* by .* of the \d+ neurons"):
        check_identity(leaky, X[:4])


def test_the_identity_is_refused_where_it_does_not_hold() -> None:
    with pytest.raises(ConversionError, match="--reset subtract"):
        convert(settled(small_cnn()), X, reset="zero", check_identity=True)


def test_reading_later_is_advised_where_it_was_tried_and_helped() -> None:
    """Neurons that wake after 6 of 16 steps answer at 10/16 where all steps are read, and rightly from step 8 on."""
    made = convert(settled(small_cnn()), X, steps=16)
    graph = made.network.graph
    firing = [n for n in graph.of_kind(Population) if n in made.ann.nodes]
    slept = graph.with_nodes({n: replace(graph.nodes[n], start=6) for n in firing})
    network = replace(made.network, graph=slept)
    found, told = verify(Case(network, made.ann, X[:50], later(network)))
    assert found.worst is not None and (found.worst.error or 0) > 0.2
    late = replace(network, record=replace(network.record, read_from=8))
    better = verify(Case(late, made.ann, X[:50]))[0].worst
    assert better is not None and (better.error or 1) < 0.75 * (found.worst.error or 0)
    assert any(f"Try: --read-from 8, which agrees in {100 * better.agreement:.1f} %" in text for text in told)


def test_reading_later_is_not_advised_where_it_is_done_or_leaves_too_few() -> None:
    x = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    made = convert(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)), x, steps=16)
    record = made.network.record
    assert list(later(made.network)) == ["--read-from 8"]
    for changed in (replace(record, read_from=4), replace(record, steps=7)):
        assert later(replace(made.network, record=changed)) == {}


def test_until_reads_from_the_step_in_which_the_last_layer_wakes() -> None:
    """Hand-made: a layer sleeps 8 steps, in which biases alone are added up, for the class that is not meant."""
    eye = np.eye(2, dtype=np.float32)
    layers = {"a": Linear(eye, None), "n": Activation(), "b": Linear(eye, np.array([0, 0.5], np.float32))}
    names = ("x", *layers, "y")
    edges = tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False))
    ann = Graph({"x": Input((2,), "current"), **layers, "y": Output()}, edges)
    chosen = Thresholds({"n": np.ones(2, np.float32)}, start={"n": 8})
    record = RunRecord(32, readout="readout", input_shape=(2,), outputs=(OutputRecord("y", "y"),))
    network = Network(balance(ann, chosen), record)
    x = np.random.default_rng(0).uniform([0.8, 0.0], [0.9, 0.1], (40, 2)).astype(np.float32)
    made, read = read_out(Case(network, ann, x), ConvertOptions(until="drop<=0"))
    assert (made.record.steps, made.record.read_from) == (12, 8)  # of 12 steps 4 are read, the fewest
    assert read.until is not None and read.until.agreement == 1
    whole = steps_until(network, {"y": ann_outputs(ann, x)["y"]}, x, Until.of("drop<=0"), 128)
    assert whole.steps > 12
