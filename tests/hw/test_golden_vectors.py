"""The published vectors of lava's fixed-point CPU model, bit for bit, by our Loihi 2 arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.hw.chips.loihi2 import CHIP
from spikeflow.hw.integer.translate import Port, translate
from spikeflow.ir import stages
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Population
from spikeflow.ir.ops import Ops
from spikeflow.neurons import CubaLIF, NeuronModel
from spikeflow.neurons.model import Value, param
from spikeflow.sim import run
from spikeflow.sim.interpreter import Step


@dataclass(frozen=True, eq=False)
class Biased(NeuronModel):
    """lava's LIF: a CubaLIF whose bias enters the membrane; a model that hw has never seen."""

    decay_current: Value = param(0.0)
    decay: Value = param(0.0)
    bias: Value = param(0.0)
    threshold: Value = param(1.0)

    def states(self) -> tuple[str, ...]:
        return ("u", "v")

    def step(self, p: Any, s: Any, x: tuple[Any, ...], ops: Ops) -> tuple[Any, tuple[Any, ...]]:
        u = p.decay_current * s.u + x[0]
        v = p.decay * s.v + u + p.bias
        z = ops.spike(v - p.threshold)
        return z, (u, ops.where(ops.stop_gradient(z), 0.0, v))


def lava(node: Population) -> Population:
    """The population at scale 1: real thresholds and currents are lava's own integers."""
    return translate("lif", node, {"in": Port(np.ones(()))}, CHIP.formats.arithmetic)


def test_a_one_neuron() -> None:
    model = CubaLIF(decay_current=(4095 - 1024) / 4096, decay=(4096 - 163) / 4096, threshold=26.0)
    fired = np.zeros((16, 1, 1))
    fired[[1, 4, 5, 6, 7]] = 1
    step = Step((node := lava(model.node((1,)))).program, node.params, True)
    state: Any = [np.zeros((1, 1), np.int64)] * 2
    seen = []
    for t in range(16):
        arriving = 20 * fired[t - 1].astype(np.int64) if t else np.zeros((1, 1), np.int64)
        z, state = step(state, [arriving])
        seen.append((int(state[0][0, 0]), int(state[1][0, 0]), int(z[0, 0])))
    u, v, z = zip(*seen, strict=True)
    assert u == (0, 0, 1280, 959, 719, 1819, 2643, 3261, 3724, 2792, 2093, 1569, 1176, 881, 660, 494)
    assert v == (0, 0, 1280, 0, 719, 0, 0, 0, 0, 0, 0, 1569, 0, 881, 1505, 0)
    assert np.flatnonzero(z).tolist() == [3, 5, 6, 7, 8, 9, 10, 12, 15]


def test_a_as_a_graph() -> None:
    model = CubaLIF(decay_current=(4095 - 1024) / 4096, decay=(4096 - 163) / 4096, threshold=26.0)
    nodes = {
        "x": Input((1,)),
        "w": Linear(Quantised([[20]], Fixed(8))),
        "lif": lava(model.node((1,))),
        "out": Output(),
    }
    graph = Graph(nodes, (Edge("x", "w", delay=1), Edge("w", "lif"), Edge("lif", "out")))
    stages.check(graph, "fixed")
    fired = np.zeros((16, 1, 1))
    fired[[1, 4, 5, 6, 7]] = 1
    result = run(graph, Spikes.from_dense(fired), 16, engine="reference")
    assert np.flatnonzero(result.output).tolist() == [3, 5, 6, 7, 8, 9, 10, 12, 15]


def test_b_two_neurons_with_weight_bits_exponent_and_bias() -> None:
    raw = np.array([[-37, 90], [41, -13]])
    kept = (raw >> 3) << 3  # 6 weight bits, mixed signs: 3 low bits dropped, downwards
    model = Biased((4095 - 700) / 4096, (4096 - 333) / 4096, bias=-20 / 64, threshold=61.0)
    nodes = {
        "x": Input((2,)),
        "w": Linear(Quantised(kept, Fixed(9)), exponent=-2),
        "lif": lava(model.node((2,))),
        "out": Output(),
    }
    graph = Graph(nodes, (Edge("x", "w", delay=1), Edge("w", "lif"), Edge("lif", "out")))
    fired = np.zeros((10, 1, 2))
    fired[[0, 2, 3, 6], 0, 0] = 1
    fired[[1, 2, 5], 0, 1] = 1
    result = run(graph, Spikes.from_dense(fired), 10, engine="reference")
    spikes = result.output[:, 0]
    assert np.flatnonzero(spikes[:, 0]).tolist() == [6] and np.flatnonzero(spikes[:, 1]).tolist() == [7]
    u, v = _states(nodes["lif"], kept, fired[:, 0].astype(np.int64))
    assert u[0] == [0, -640, 878, 1495, 599, 496, 1819, 867, 718, 595]
    assert v[0] == [-20, -678, 236, 1691, 2132, 2434, 0, 847, 1476, 1931]
    assert u[1] == [0, 640, 274, 611, 1146, 949, 530, 1079, 894, 740]
    assert v[1] == [-20, 602, 807, 1332, 2349, 3087, 3346, 0, 874, 1522]


def _states(node: Any, weight: Any, fired: Any) -> tuple[list[list[int]], list[list[int]]]:
    step = Step(node.program, node.params, True)
    state: Any = [np.zeros((1, 2), np.int64)] * 2
    seen = []
    for t in range(10):
        arriving = (fired[t - 1] @ weight.T)[None] >> 2 if t else np.zeros((1, 2), np.int64)
        _, state = step(state, [arriving])
        seen.append(np.stack([s[0] for s in state]))
    both = np.stack(seen)
    return both[:, 0].T.tolist(), both[:, 1].T.tolist()


def test_a_weight_equal_to_the_threshold_loses_no_spike() -> None:
    from spikeflow.neurons import IF

    node = lava(IF(20.0).node((1,)))
    step, state = Step(node.program, node.params, True), [np.zeros((1, 1), np.int64)]
    total = 0
    for _ in range(1000):
        z, after = step(state, [np.full((1, 1), 20, np.int64)])
        state, total = list(after), total + int(z[0, 0])
    assert total == 1000


def test_current_folds_once_and_membrane_clips() -> None:
    node = lava(CubaLIF(decay_current=0.5, decay=1.0, threshold=131071.0).node((1,)))
    step = Step(node.program, node.params, True)
    at = np.full((1, 1), 2**17, np.int64)  # 64 x 2**17 = 2**23, which survives
    _, (u, v) = step([np.zeros((1, 1), np.int64)] * 2, [at])
    assert u.item() == 2**23 and v.item() == 0  # v spiked, above 64 x 131070
    _, (u, v) = step([u, v], [at])
    assert u.item() == 2**22 + 2**23 - 2**24 and step.narrowed_high["u"] == 1 and not step.narrowed_low["u"]
    _, (u, v) = step([np.zeros((1, 1), np.int64)] * 2, [1 - at])
    _, (u, v) = step([u, v], [-at // 2])
    assert v.item() == -(2**23 - 1) and step.narrowed_low["v"] == 1 and not step.narrowed_high["v"]
