"""Each input has its own coding, scale and preprocessing: a run by name gives what `sim.run` gives on inputs made by hand.

Drawn: 1 to 4 inputs of rank 1 to 3 with sizes 2 to 5, each `direct`, `rate`, `onoff` or `spikes` with a scale of 0.5 to 3 of
its own, 1 to 6 samples of values 0 to 2 (with `direct` and `onoff` -2 to 2), 7 steps, batches of 1 to 6; one or two outputs.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow import encode
from spikeflow.errors import DataError, GraphError
from spikeflow.events import Events, Spikes
from spikeflow.hw import map_network
from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Flatten, Input, Linear, Node, Output
from spikeflow.ir.preprocessing import Frames, Normalise, Resize
from spikeflow.ir.record import Network, OutputRecord, RunRecord
from spikeflow.neurons import LIF, Integrator
from spikeflow.sim import Constant, run
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.inputs import RunInput
from spikeflow.sim.joined import parted, taken

STEPS = 7
SEEDS = range(24)
CODINGS = ("direct", "rate", "onoff", "spikes")


def drawn(seed: int) -> tuple[Network, dict[str, np.ndarray]]:
    """A network and its samples by name."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    records, x, samples = [], {}, int(rng.integers(1, 7))
    for i in range(int(rng.integers(1, 5))):
        name, coding = f"in{i}", str(rng.choice(CODINGS))
        shape = tuple(int(n) for n in rng.integers(2, 6, rng.integers(1, 4)))
        entering = (2 * shape[0], *shape[1:]) if coding == "onoff" else shape
        nodes |= {name: Input(entering, "current" if coding == "direct" else "spikes"), f"flat{i}": Flatten()}
        nodes[f"w{i}"] = Linear(rng.normal(size=(5, prod(entering))).astype(np.float32))
        edges += [Edge(name, f"flat{i}"), Edge(f"flat{i}", f"w{i}"), Edge(f"w{i}", "cell")]
        records.append(InputRecord(name, coding, float(rng.choice([0.5, 1.0, 3.0]))))
        low = -2 if coding in ("direct", "onoff") else 0
        values = rng.uniform(low, 2, (samples, *shape)).astype(np.float32)
        x[name] = (
            (rng.random((samples, STEPS, *shape)) < 0.4).astype(np.float32) if coding == "spikes" else values
        )
    nodes["cell"] = LIF(0.9).node((5,))
    for o in range(int(rng.integers(1, 3))):
        nodes |= {
            f"v{o}": Linear(rng.normal(size=(3, 5)).astype(np.float32)),
            f"read{o}": Integrator().node((3,)),
        }
        nodes[f"out{o}"] = Output()
        edges += [Edge("cell", f"v{o}"), Edge(f"v{o}", f"read{o}"), Edge(f"read{o}", f"out{o}")]
    outputs = tuple(OutputRecord(n, f"o{n}") for n in nodes if n.startswith("out"))
    record = RunRecord(STEPS, "direct", seed=seed, outputs=outputs, inputs=tuple(records))
    return Network(Graph(nodes, tuple(edges)), record), x


def by_hand(network: Network, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    given: dict[str, RunInput] = {}
    for number, described in enumerate(network.inputs):
        values = x[described.node]
        seed = (network.record.seed + number * 0x9E3779B97F4A7C15) % 2**63
        if described.coding == "direct":
            given[described.node] = Constant(values)
        elif described.coding == "spikes":
            given[described.node] = Spikes.from_dense(np.moveaxis(values, 1, 0))
        else:
            coder = encode.rate if described.coding == "rate" else encode.onoff
            given[described.node] = coder(values, STEPS, described.scale, seed)
    return dict(run(network.graph, given, STEPS, engine="reference").outputs)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_input_enters_as_its_own_record_says(seed: int) -> None:
    network, x = drawn(seed)
    network.check()
    hand = by_hand(network, x)
    for batch in (1, 4, 250):
        found = classify(network, x, RunOptions(batch=batch))
        for output in network.outputs:
            np.testing.assert_array_equal(found.outputs[output.name], hand[output.node])
    parts = parted(network, taken(network, x).x)
    assert all(np.array_equal(parts[name], x[name]) for name in x)


@pytest.mark.parametrize("seed", SEEDS)
def test_inputs_are_kept_in_files_and_digests_stay(seed: int, tmp_path: Path) -> None:
    network, x = drawn(seed)
    file.write(tmp_path / "net.h5", network)
    again = file.read(tmp_path / "net.h5")
    assert again.record == network.record and again.inputs == network.inputs
    np.savez(tmp_path / "x.npz", **x)
    if len(x) > 1:
        one, other = classify(again, tmp_path / "x.npz"), classify(network, x)
        assert all(np.array_equal(one.outputs[n], other.outputs[n]) for n in other.outputs)


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
@pytest.mark.parametrize("seed", range(6))
def test_networks_of_named_inputs_are_calibrated_and_mapped(seed: int, chip: str) -> None:
    network, x = drawn(seed)
    many = {
        name: np.concatenate([values * share for share in np.linspace(0.5, 1, 9)])
        for name, values in x.items()
    }
    for described in network.inputs:
        if described.coding == "spikes":
            many[described.node] = (many[described.node] > 0).astype(np.float32)
    mapping = map_network(network, chip, many, accept_loss=True)
    mapped = mapping.as_network()
    assert mapped.inputs == tuple(replace(mapped.input(d.node), seen=d.seen) for d in mapped.inputs)
    assert [d.coding for d in mapped.inputs] == [d.coding for d in network.inputs]
    found = classify(mapped, x)
    assert set(found.outputs) == {output.name for output in network.outputs}
    assert all(len(found.values(output=o.name)) == len(next(iter(x.values()))) for o in network.outputs)


def test_what_a_record_cannot_say_is_refused() -> None:
    network, x = drawn(0)
    name = next(iter(x))

    def with_inputs(*records: InputRecord) -> Network:
        return replace(network, record=replace(network.record, inputs=records))

    for wrong in ((InputRecord("cell"),), (InputRecord(name, "rate"), InputRecord(name, "rate"))):
        with pytest.raises(GraphError):
            with_inputs(*wrong).check()
    with pytest.raises(GraphError, match="frames"):
        with_inputs(InputRecord(name, "direct", preprocessing=(Frames(steps=3),))).check()
    for bad in ({"coding": "morse"}, {"scale": -1.0}, {"scale": float("nan")}, {"seen": (1.0,)}):
        with pytest.raises(DataError):
            InputRecord(name, **bad).check()  # type: ignore[arg-type]
    with pytest.raises(DataError):
        InputRecord(name, preprocessing=(np.exp,))  # type: ignore[arg-type]


def camera_network(steps: int = 5) -> Network:
    """Frames of a 4x3 sensor, normalised, then 3 classes."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Node] = {
        "in": Input((2, 3, 4), "current"), "flat": Flatten(), "w": Linear(rng.normal(size=(6, 24)).astype(np.float32)),
        "cell": LIF(0.9).node((6,)), "v": Linear(rng.normal(size=(3, 6)).astype(np.float32)),
        "read": Integrator().node((3,)), "out": Output(),
    }  # fmt: skip
    names = list(nodes)
    edges = tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False))
    made = InputRecord(
        "in", "spikes", preprocessing=(Frames(dt_us=100, steps=steps), Normalise((0.1,), (0.7,)))
    )
    return Network(Graph(nodes, edges), RunRecord(steps, "spikes", readout="read", inputs=(made,)))


def recording(seed: int) -> Events:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    t = np.sort(rng.integers(0, 700, n))
    return Events(t, rng.integers(0, 4, n), rng.integers(0, 3, n), rng.integers(0, 2, n), 4, 3)


def test_events_are_framed_as_the_record_says(tmp_path: Path) -> None:
    network = camera_network()
    file.write(tmp_path / "net.h5", network)
    network = file.read(tmp_path / "net.h5")
    recordings = [recording(seed) for seed in range(7)]
    frames = np.stack([Frames(dt_us=100, steps=5)(events) for events in recordings])
    plain = (frames - np.float32(0.1)) / np.float32(0.7)
    bare = replace(network, record=replace(network.record, inputs=()))
    wanted = classify(bare, plain).logits
    pairs = [(events, k % 3) for k, events in enumerate(recordings)]
    given: tuple[Any, ...] = (recordings, tuple(recordings), pairs, frames)
    for samples in given:
        np.testing.assert_array_equal(classify(network, samples).logits, wanted)
    np.testing.assert_array_equal(classify(network, recordings[2]).logits, wanted[:, 2:3])
    found = classify(network, pairs)
    assert found.y is not None and list(found.y) == [0, 1, 2, 0, 1, 2, 0]
    ready = taken(network, recordings)
    np.testing.assert_array_equal(classify(network, ready).logits, wanted)  # not prepared a second time


def test_frames_of_other_sensors_are_refused() -> None:
    events = Events(np.array([1]), np.array([9]), np.array([0]), np.array([1]), 10, 3)
    with pytest.raises(DataError):
        classify(camera_network(), events)


def test_bytes_that_are_normalised_are_not_warned_of() -> None:
    network, _ = drawn(1)
    name = network.graph.inputs[0]
    one = replace(network, record=replace(network.record, inputs=(InputRecord(name, "direct"),)))
    if len(one.graph.inputs) == 1:
        pytest.skip("drawn with one input")
    shape = one.graph.shapes[name]
    x = np.full((3, *shape), 200, np.uint8)
    scaled = replace(
        one, record=replace(one.record, inputs=(InputRecord(name, preprocessing=(Normalise(std=(255,)),)),))
    )
    others = {n: np.ones((3, *one.graph.shapes[n]), np.float32) for n in one.graph.inputs[1:]}
    assert any("bytes" in text for text in taken(one, {name: x, **others}).warnings)
    ready = taken(scaled, {name: x, **others})
    assert not ready.warnings and np.allclose(parted(scaled, ready.x)[name], 200 / 255)


def test_resize_needs_pictures() -> None:
    with pytest.raises(DataError, match="pictures"):
        Resize(4, 4)(np.ones((2, 5), np.float32), 1)
