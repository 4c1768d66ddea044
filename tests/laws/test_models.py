"""The laws of every neuron model: layer = reference, program = step, rest, gradients, states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from spikeflow.ir.file import read as read_network
from spikeflow.ir.file import write as write_network
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import MODELS, Neuron, NeuronModel
from spikeflow.sim import Dense, run
from spikeflow.sim.interpreter import FLUSH, Step
from tests.laws.eager import numpy_step
from tests.laws.models import CASES, SIZE, currents, label, lone_graph

each = pytest.mark.parametrize("model", CASES, ids=label)


def test_all_covered() -> None:
    assert {type(case) for case in CASES} == set(MODELS)


@each
def test_layer_equals_reference_bit_for_bit(model: NeuronModel) -> None:
    x = currents(model, 200, 3)
    layer = Neuron(model)
    with torch.no_grad():
        z, state = layer({port: torch.from_numpy(v) for port, v in x.items()})
    result = run(lone_graph(model), {port: Dense(v) for port, v in x.items()}, 200, engine="reference")
    assert result.output.any(), "a law about silence proves nothing"
    np.testing.assert_array_equal(z.numpy(), result.output)
    assert len(state) == len(model.states())


@each
def test_program_equals_step_bit_for_bit(model: NeuronModel) -> None:
    draw = np.random.default_rng(1)
    params = {k: np.asarray(v, np.float32) for k, v in model.params().items()}
    step = Step(model.program(), params, fixed=False)
    state = tuple(draw.normal(0, 1, (4, SIZE)).astype(np.float32) for _ in model.states())
    for _ in range(50):
        x = tuple(draw.normal(0, 1, (4, SIZE)).astype(np.float32) for _ in model.inputs)
        expected, expected_state = numpy_step(model, state, x)
        got, got_state = step(state, x)
        np.testing.assert_array_equal(got, expected)
        for a, b in zip(got_state, expected_state, strict=True):
            np.testing.assert_array_equal(a, np.where(np.abs(b) < FLUSH, 0, b))
        state = got_state


@each
def test_rest_is_a_fixed_point(model: NeuronModel) -> None:
    params = {k: np.asarray(v, np.float32) for k, v in model.params().items()}
    step = Step(model.program(), params, fixed=False)
    rest = tuple(np.zeros((1, SIZE), np.float32) for _ in model.states())
    silence = tuple(np.zeros((1, SIZE), np.float32) for _ in model.inputs)
    output, state = step(rest, silence)
    if getattr(model, "timed", False):  # it counts steps, and its function of 0 may be another number
        assert (state[-1] == 1).all() and not state[0].any()
        return
    assert not output.any() and not any(s.any() for s in state)


@each
def test_stretch_equals_moments(model: NeuronModel) -> None:
    x = {port: torch.from_numpy(v) for port, v in currents(model, 40, 2).items()}
    layer = Neuron(model)
    whole, end = layer(x)
    first, middle = layer({p: v[:17] for p, v in x.items()})
    second, end_again = layer({p: v[17:] for p, v in x.items()}, middle)
    assert torch.equal(torch.cat([first, second]), whole)
    assert all(torch.equal(a, b) for a, b in zip(end, end_again, strict=True))


@each
def test_gradients_are_finite_and_reach_inputs_and_parameters(model: NeuronModel) -> None:
    x = {p: torch.from_numpy(v).requires_grad_() for p, v in currents(model, 30, 2).items()}
    layer = Neuron(model, learn=tuple(model.params()))
    z, _ = layer(x)
    (z * torch.linspace(0, 1, SIZE)).sum().backward()
    assert x[model.inputs[0]].grad is not None and x[model.inputs[0]].grad.any()
    for name, parameter in [*x.items(), *layer.named_parameters()]:
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


def _slowest(model: NeuronModel) -> float:
    """The largest decay of a model; 1 for one that does not leak."""
    return max((float(np.max(v)) for k, v in model.params().items() if k.startswith("decay")), default=1.0)


LEAKY = tuple(case for case in CASES if _slowest(case) < 0.97)


@pytest.mark.parametrize("model", LEAKY, ids=label)
def test_state_decays_to_exact_zero(model: NeuronModel) -> None:
    """Without the rule of 2**-100 a decaying state would stick above 0 and nothing would sleep."""
    params = {k: np.asarray(v, np.float32) for k, v in model.params().items()}
    step = Step(model.program(), params, fixed=False)
    state = tuple(np.full((1, SIZE), 0.5, np.float32) for _ in model.states())
    silence = tuple(np.zeros((1, SIZE), np.float32) for _ in model.inputs)
    for _ in range(2500):
        _, state = step(state, silence)
    assert not any(s.any() for s in state)


@each
def test_a_file_holds_the_neuron(model: NeuronModel, tmp_path: Path) -> None:
    """The program and parameters come back, and with them the bits of a run."""
    network = Network(lone_graph(model), RunRecord(20))
    write_network(tmp_path / "net.h5", network)
    back = read_network(tmp_path / "net.h5")
    assert isinstance(back, Network) and back.graph.digest == network.graph.digest
    assert back.graph.nodes["cells"].program == model.program()
    inputs = {port: Dense(x) for port, x in currents(model, 20, 2).items()}
    one, other = (run(n.graph, inputs, 20, engine="reference").output for n in (network, back))
    np.testing.assert_array_equal(one, other)


@each
def test_declared_parameters_are_checked(model: NeuronModel) -> None:
    for name in model.params():
        with pytest.raises(ValueError, match=name):
            type(model)(**{name: float("nan")})
