"""The rate cell of two points: its laws, its three contexts, and what is counted of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import HardwareError, ShapeError
from spikeflow.hw import map_network
from spikeflow.ir import file
from spikeflow.ir.graph import Edge
from spikeflow.neurons import Integrator, Net, Neuron, Recurrent, Sequential, TwoPointAnalog, telemetry
from spikeflow.neurons.modulation import LAWS
from spikeflow.neurons.telemetry import telemetry_by_context
from spikeflow.sim import Dense, run

Array = np.ndarray
R, C = np.meshgrid(np.linspace(-3, 3, 49), np.linspace(-3, 3, 49))  # 0 and every eighth
FORMULAS: dict[str, Callable[[Array, Array], Array]] = {
    "gate": lambda r, c: r * (1 + np.tanh(c)),
    "isolation": lambda r, c: r,
    "additive": lambda r, c: r + c,
    "kay_phillips": lambda r, c: 0.5 * r * (1 + np.exp(r * c)),
    "linear": lambda r, c: r * (1 + c),
    "tanh_rc": lambda r, c: r * (1 + np.tanh(r * c)),
    "pow2": lambda r, c: r * 2.0 ** (r * c),
    "cooperation": lambda r, c: (
        np.maximum(r, -1) ** 2 + 2 * np.maximum(r, -1) + c * (1 + np.abs(np.maximum(r, -1)))
    ),
    "published_cooperation": lambda r, c: r**2 + 2 * r + c * (1 + np.abs(r)),
}


def answer(model: TwoPointAnalog, **ports: Array) -> Array:
    x = {name: torch.from_numpy(v.astype(np.float32))[None] for name, v in ports.items()}
    with torch.no_grad():
        return Neuron(model)(x)[0][0].numpy()


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("phi", ["relu6", "relu"])
def test_a_law_is_its_formula(law: str, phi: str) -> None:
    wanted = np.maximum(FORMULAS[law](R, C), 0)
    wanted = np.minimum(wanted, 6) if phi == "relu6" else wanted
    for port in ("proximal", "distal"):
        got = answer(TwoPointAnalog(law=law, phi=phi), evidence=R, **{port: C})
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6)
    assert set(FORMULAS) == set(LAWS)


def test_without_context_every_law_but_cooperation_hands_the_evidence_on() -> None:
    for law in LAWS:
        got = answer(TwoPointAnalog(law=law, phi="relu"), evidence=R)
        same = np.allclose(got, np.maximum(R, 0), atol=1e-6)
        assert same == ("cooperation" not in law)


def test_context_alone_is_silence_where_it_multiplies() -> None:
    for law in LAWS:
        alone = answer(TwoPointAnalog(law=law), evidence=0 * R, distal=C)
        assert alone.any() == (law in ("additive", "cooperation", "published_cooperation"))


def test_strong_inhibition_switches_the_published_law_on_and_this_one_not() -> None:
    r = np.array([[-4.0, -3.0, -2.5]])
    assert (answer(TwoPointAnalog(law="published_cooperation"), evidence=r) > 0).all()
    assert not answer(TwoPointAnalog(law="cooperation"), evidence=r).any()


def test_the_gate_may_veto_and_kay_and_phillips_may_not() -> None:
    r, c = np.ones((1, 1)), np.full((1, 1), -50.0)
    assert answer(TwoPointAnalog(law="gate"), evidence=r, distal=c) == 0
    assert answer(TwoPointAnalog(law="kay_phillips"), evidence=r, distal=c) == 0.5


def test_universal_context_fades_in() -> None:
    ones = torch.ones(40, 1, 1)
    y, state = Neuron(TwoPointAnalog(memory=0.75))({"evidence": ones, "universal": ones})
    m = 1 - 0.75 ** np.arange(1, 41)
    np.testing.assert_allclose(y[:, 0, 0].numpy(), 1 + np.tanh(m), rtol=1e-5)
    assert abs(state.m.item() - m[-1]) < 1e-6  # type: ignore[attr-defined]


def two_streams() -> Net:
    torch.manual_seed(0)
    return Net(
        {
            "picture": nn.Linear(6, 8),
            "sound": nn.Linear(5, 8),
            "cells": Neuron(TwoPointAnalog()),
            "past": nn.Linear(8, 8),
            "all": nn.Linear(8, 8),
            "readout": Neuron(Integrator()),
        },
        [
            Edge("see", "picture"),
            Edge("hear", "sound"),
            Edge("picture", "cells", "evidence"),
            Edge("sound", "cells", "distal"),
            Edge("cells", "past", delay=1),
            Edge("past", "cells", "proximal"),
            Edge("sound", "all"),
            Edge("all", "cells", "universal"),
            Edge("cells", "readout"),
            Edge("readout", "output"),
        ],
        inputs=("see", "hear"),
    )


def test_streams_and_recurrence_are_the_graph_the_file_and_both_engines(tmp_path: Any) -> None:
    pytest.importorskip("spikeflow.sim._engine")
    net = two_streams()
    x = {"see": torch.randn(9, 4, 6), "hear": torch.randn(9, 4, 5)}
    network = capture_trained(net, {"see": (6,), "hear": (5,)}, dt=1e-3, steps=9)
    file.write(tmp_path / "net.h5", network)
    read = file.read(tmp_path / "net.h5").graph
    assert read.digest == network.graph.digest
    given = {n: Dense(v.numpy()) for n, v in x.items()}
    first, second = (run(_currents(read), given, 9, engine=e).output for e in ("cpp", "reference"))
    np.testing.assert_array_equal(first, second)
    with torch.no_grad():
        wanted = net(x)[0].numpy()
    np.testing.assert_allclose(first, wanted, rtol=1e-4, atol=1e-4)
    assert wanted.any()


def _currents(graph: Any) -> Any:
    from dataclasses import replace

    return graph.with_nodes({name: replace(graph.nodes[name], kind="current") for name in graph.inputs})


@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "spinnaker2"])
def test_chips_refuse_rates_by_name(chip: str) -> None:
    net = Sequential(nn.Linear(6, 8), Neuron(TwoPointAnalog()), nn.Linear(8, 3), Neuron(Integrator()))
    network = capture_trained(net, (6,), dt=1e-3, steps=5)
    with pytest.raises(HardwareError, match="layers.1: needs .*TwoPointAnalog|layers.1: needs to hand on"):
        map_network(network, chip, np.ones((8, 5, 6), np.float32))


def test_it_learns_in_convolutions_and_recurrence() -> None:
    torch.manual_seed(1)
    cells = Neuron(TwoPointAnalog(law="cooperation"), learn="memory")
    net = Sequential(
        nn.Conv2d(1, 3, 3),
        Recurrent(cells, nn.Conv2d(3, 3, 3, padding=1), port="proximal"),
        nn.Flatten(),
        nn.Linear(48, 2),
    )
    y, _ = net(torch.randn(5, 2, 1, 6, 6))
    y.square().sum().backward()
    for name, parameter in net.named_parameters():
        if not name.endswith("memory"):
            assert parameter.grad is not None and parameter.grad.any(), name


def test_telemetry_counts_by_context() -> None:
    y = torch.zeros(4, 3, 5)
    y[:, 0] = 2.0
    y[:2, 2, :] = 1.0
    whole = telemetry(y)
    assert (whole.active, whole.count) == (30 / 60, 60) and abs(whole.mean - 50 / 60) < 1e-12
    split = telemetry_by_context(y, [True, False, False])
    assert split.congruent.active == 1 and split.incongruent.active == 10 / 40 and split.whole == whole
    assert np.isnan(telemetry_by_context(y, [True] * 3).incongruent.active)
    with pytest.raises(ShapeError, match="one value for each sample"):
        telemetry_by_context(y, [True, False])
