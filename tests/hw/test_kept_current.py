"""Law: a bias into a current that lasts is mapped on the programmable chips and acts as in the float network."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.errors import HardwareError
from spikeflow.hw import load, map_network
from spikeflow.hw.integer.translate import Port, translate
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Node, Output, Population
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import CubaLIF, Integrator, TwoPointLIF
from spikeflow.sim.classify import RunOptions, classify
from spikeflow.sim.interpreter import Step

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
CHIPS = ("loihi2", "spinnaker2")
STEPS = 60


def drawn(seed: int, delays: bool = True) -> Network:
    """Two layers of 4 to 40 CubaLIF: decays of the current 0.1 to 0.97, one or each its own, some of them 0; biases
    -0.05 to 0.1; delays of 0 to 3 on edges and within nodes, a loop of 1 to 3 steps with a bias, both resets."""
    rng, d = np.random.default_rng(seed), np.random.default_rng(seed + 1000).normal
    n = int(rng.integers(4, 41))
    own = (rng.uniform(0, 0.97, n) * (rng.random(n) < 0.8)).astype(np.float32)
    decay = float(rng.uniform(0.1, 0.97)) if seed % 2 else own
    late = lambda low: int(rng.integers(low, 4)) if delays else low  # noqa: E731
    biased = lambda s, high: rng.uniform(-high / 2, high, s).astype(np.float32)  # noqa: E731
    nodes: dict[str, Node] = {
        "x": Input((12,)),
        "w": Linear(d(0, 0.3, (n, 12)), biased(n, 0.08), rng.integers(0, 3, 12) if delays else None),
        "pre": CubaLIF(0.3, 0.8, 0.6).node((n,)),
        "w2": Linear(d(0, 0.2, (n, n)), biased(n, 0.1)),
        "cells": CubaLIF(decay, float(rng.uniform(0.5, 1)), 1.0, ["zero", "subtract"][seed // 2 % 2]).node(
            (n,)
        ),
        "back": Linear(d(0, 0.1, (n, n)), biased(n, 0.02)),
        "v": Linear(d(0, 1, (3, n))),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    edges = [
        Edge("x", "w", delay=late(0)),
        Edge("w", "pre"),
        Edge("pre", "w2", delay=late(0)),
        Edge("w2", "cells"),
    ]
    edges += [Edge("cells", "back", delay=late(1)), Edge("back", "cells")]
    edges += [Edge("cells", "v"), Edge("v", "readout"), Edge("readout", "out")]
    return Network(
        Graph(nodes, tuple(edges)), RunRecord(STEPS, "spikes", readout="readout", input_shape=(12,))
    )


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("chip", CHIPS)
def test_spikes_are_those_of_the_float_network(seed: int, chip: str) -> None:
    """Over 16 samples: spikes of each layer within 5 % (and 40), answers alike on at least 7 of 8."""
    network = drawn(seed)
    x = (np.random.default_rng(seed + 50).random((16, STEPS, 12)) < 0.15).astype(np.float32)
    mapping = map_network(network, chip, x, accept_loss=True)
    mapped, names = mapping.as_network(), ("pre", "cells")
    parts = [n for n, part in mapping.part_of.items() if part in names]
    wanted = classify(network, x, RunOptions(record=names))
    got = classify(mapped, x, RunOptions(record=tuple(parts)))
    for name in names:
        spikes = wanted.counts[name].spikes
        mine = [n for n in parts if mapping.part_of[n] == name]
        start = max(mapped.graph.nodes[n].start for n in mine)  # type: ignore[union-attr]
        # a train is the original, shifted by its level; the mapped run goes on until the read-out has it all
        found = sum(int((s.step < start + STEPS).sum()) for n in mine for s in got.recorded[n])
        assert abs(found - spikes) <= 0.05 * spikes + 40, (name, found, spikes)
    assert (wanted.predictions() == got.predictions()).mean() >= 7 / 8


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("chip", CHIPS)
def test_the_current_follows_its_equation(seed: int, chip: str) -> None:
    """One population alone, 1 to 50 neurons, scales 2^4 to 2^10, exact: u <- d u toward zero + 2^shift x + b, where b is
    the real bias at that scale, rounded to a mantissa of the chip's and an exponent."""
    rng = np.random.default_rng(seed)
    n, a = int(rng.integers(1, 51)), load(chip).formats.arithmetic
    decay, bias, scale = (
        rng.uniform(0, 0.98, n).astype(np.float32),
        rng.uniform(-0.2, 0.2, n),
        2.0 ** rng.uniform(4, 10, n),
    )
    fixed = translate("p", CubaLIF(decay, 0.9, 60.0).node((n,)), {"in": Port(scale, bias)}, a)
    step, real = Step(fixed.program, fixed.params, True), bias * scale * 2.0**a.state_shift
    exponent = np.maximum(0, np.ceil(np.log2(np.maximum(np.abs(real), 1) / a.bias_mantissa)))
    stored = np.broadcast_to(fixed.params["bias"], n).astype(float)
    assert (np.abs(stored - real) <= 2.0**exponent / 2).all() and not (stored % 2.0**exponent).any()
    factor = np.broadcast_to(fixed.params["decay_current"], n)
    assert (np.abs(factor / 2.0**a.decay_bits - decay) <= 2.0**-a.decay_bits).all()
    state, u = [np.zeros((1, n), np.int64) for _ in fixed.program.states], [0] * n
    for _ in range(100):
        arrives = rng.integers(-300, 900, n)
        _, after = step(state, [arrives[None].astype(np.int64)])
        state = list(after)
        for k in range(n):
            kept = int(factor[k]) * u[k]
            kept = -(-kept >> a.decay_bits) if kept < 0 else kept >> a.decay_bits
            u[k] = kept + (int(arrives[k]) << a.state_shift) + int(stored[k])
        assert state[fixed.program.states.index("u")][0].tolist() == u
    assert not step.narrowed_low["u"] and not step.narrowed_high["u"]


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("level", [0, 1, 4])
def test_before_its_start_the_bias_does_nothing(chip: str, level: int) -> None:
    """Driven by its bias alone, a population behind `level` others spikes as it would by itself, from its start on."""
    names = [f"p{k}" for k in range(level)]
    nodes: dict[str, Node] = {"x": Input((4,))}
    edges = []
    for k, name in enumerate([*names, "cells"]):
        last = name == "cells"
        nodes[f"w{k}"] = Linear(np.zeros((4, 4), np.float32), np.full(4, 0.28125) if last else None)
        nodes[name] = CubaLIF(0.75, 0.5, 1.0).node((4,))
        edges += [Edge([*names, "cells"][k - 1] if k else "x", f"w{k}"), Edge(f"w{k}", name)]
    nodes |= {"v": Linear(np.eye(4, dtype=np.float32)), "readout": Integrator().node((4,)), "out": Output()}
    edges += [Edge("cells", "v"), Edge("v", "readout"), Edge("readout", "out")]
    network = Network(
        Graph(nodes, tuple(edges)), RunRecord(STEPS, "spikes", readout="readout", input_shape=(4,))
    )
    x = np.zeros((8, STEPS, 4), np.float32)
    mapping = map_network(network, chip, x, accept_loss=True)
    wanted = classify(network, x[:1], RunOptions(record=("cells",))).recorded["cells"][0]
    (node,) = (n for n, part in mapping.part_of.items() if part == "cells")
    got = classify(mapping.as_network(), x[:1], RunOptions(record=(node,))).recorded[node][0]
    start = mapping.as_graph().nodes[node].start  # type: ignore[union-attr]
    assert start == level + 1 and len(wanted.step) > 8
    inside = got.step < start + STEPS
    assert (got.step[inside] - start).tolist() == wanted.step.tolist()
    assert got.neuron[inside].tolist() == wanted.neuron.tolist()


@pytest.mark.parametrize("chip", CHIPS)
def test_the_apical_current_of_a_two_point_cell_keeps_its_bias(chip: str) -> None:
    """A gated cell whose apical low-pass has a bias: rates within 5 %."""
    rng = np.random.default_rng(4)
    nodes: dict[str, Node] = {
        "x": Input((12,)),
        "w": Linear(rng.normal(0.1, 0.3, (16, 12))),
        "top": Linear(rng.normal(0, 0.3, (16, 12)), np.full(16, 0.3)),
        "cells": TwoPointLIF().node((16,)),
        "v": Linear(rng.normal(size=(3, 16))),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    edges = [Edge("x", "w"), Edge("w", "cells", "basal"), Edge("x", "top"), Edge("top", "cells", "apical")]
    edges += [Edge("cells", "v"), Edge("v", "readout"), Edge("readout", "out")]
    network = Network(
        Graph(nodes, tuple(edges)), RunRecord(STEPS, "spikes", readout="readout", input_shape=(12,))
    )
    x = (rng.random((16, STEPS, 12)) < 0.3).astype(np.float32)
    mapping = map_network(network, chip, x, accept_loss=True)
    got, wanted = classify(mapping.as_network(), x), classify(network, x)
    rates = [
        c.spikes / c.neuron_updates for c in (wanted.counts["cells"], *_of(mapping, got.counts, "cells"))
    ]
    assert rates[1] == pytest.approx(rates[0], rel=0.05)


def _of(mapping: object, counts: object, name: str) -> list[object]:
    return [c for n, c in counts.items() if mapping.part_of.get(n) == name]  # type: ignore[attr-defined]


def test_loihi1_names_the_population() -> None:
    network = drawn(1)
    x = np.zeros((4, STEPS, 12), np.float32)
    with pytest.raises(HardwareError, match="cells: needs a bias into the current that it keeps") as refused:
        map_network(network, "loihi1", x)
    assert {v.node for v in refused.value.violations} == {"pre", "cells"}
    assert isinstance(network.graph.nodes["cells"], Population)
