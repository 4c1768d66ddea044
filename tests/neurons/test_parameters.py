"""Laws of parameters: names to learn, legal ranges at declaration, while training, when loaded and when captured.

Drawn: every parameter of every model; values up to 10 beyond each end of its range, scalar and per neuron.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import GraphError, ShapeError, SpikeflowError, SpikeflowWarning
from spikeflow.ir.nodes import Population
from spikeflow.neurons import (
    IF,
    LIF,
    MODELS,
    CubaLIF,
    Integrator,
    Neuron,
    NeuronModel,
    Sequential,
    TwoPointLIF,
)
from spikeflow.neurons.model import Value, param
from spikeflow.neurons.settling import SEEN, compared
from tests.laws.models import CASES, SIZE, currents, label, needs, ranges, read_by

PARAMETERS = [
    (model, name) for model in MODELS for name in ranges(model) if name in model(**needs(model, name)).params()
]
BOUNDED = [(m, n) for m, n in PARAMETERS if np.isfinite(ranges(m)[n]).any()]
named = pytest.mark.parametrize(("model", "name"), PARAMETERS, ids=lambda x: getattr(x, "__name__", x))
bounded = pytest.mark.parametrize(("model", "name"), BOUNDED, ids=lambda x: getattr(x, "__name__", x))


def made(model: type[NeuronModel], name: str, value: Any = None) -> NeuronModel:
    """The model, so declared that it reads the parameter."""
    more = needs(model, name)
    if model is TwoPointLIF and more.get("mode") != "coupled":
        more = more | {"back_propagation": True}
    return model(**more, **({} if value is None else {name: value}))  # type: ignore[arg-type]


def outside(model: type[NeuronModel], name: str, draw: np.random.Generator) -> list[float]:
    low, high = ranges(model)[name]
    beyond = float(draw.uniform(1e-3, 10))
    return [x for x in (low - beyond, high + beyond) if np.isfinite(x)]


@pytest.mark.parametrize("model", CASES, ids=label)
@pytest.mark.parametrize("kind", [tuple, list, set, iter, dict.fromkeys])
def test_names_come_in_any_collection(model: NeuronModel, kind: Callable[[Iterable[str]], Any]) -> None:
    names = read_by(model)
    layer = Neuron(model, learn=kind(names))
    assert {name for name, _ in layer.named_parameters()} == set(names)


@named
def test_a_lone_string_is_one_name(model: type[NeuronModel], name: str) -> None:
    assert [n for n, _ in Neuron(made(model, name), learn=name).named_parameters()] == [name]


@pytest.mark.parametrize("model", CASES, ids=label)
def test_unknown_names_are_refused(model: NeuronModel) -> None:
    draw, known = np.random.default_rng(0), model.params()
    words = ["".join(draw.choice(list("acdehortuy_"), draw.integers(1, 12))) for _ in range(20)]
    parts = [name[:-1] for name in known] + [name + "s" for name in known] + ["reset", "", 3, None]
    for word in [w for w in [*words, *parts] if w not in known]:
        with pytest.raises(GraphError, match="to learn"):
            Neuron(model, learn=[*known, word])  # type: ignore[list-item]
    with pytest.raises(GraphError, match="names no parameters"):
        Neuron(model, learn=None)  # type: ignore[arg-type]


def test_a_name_that_the_program_never_reads_is_told() -> None:
    with pytest.warns(SpikeflowWarning, match="never reads 'bap'"):
        Neuron(TwoPointLIF(), learn="bap")
    with pytest.raises(GraphError, match="back_propagation"):
        TwoPointLIF(bap=0.3)


@pytest.mark.parametrize("wrong", ["atan", None, 2.0])
def test_a_derivative_that_is_no_function_is_refused(wrong: Any) -> None:
    with pytest.raises(GraphError, match="derivative"):
        Neuron(LIF(), derivative=wrong)


@pytest.mark.parametrize("wrong", [LIF, 0.9, "LIF", nn.Linear(2, 2)])
def test_what_is_no_model_is_refused(wrong: Any) -> None:
    with pytest.raises(GraphError, match="no neuron model"):
        Neuron(wrong)


def test_a_limit_is_accepted_in_every_precision() -> None:
    """Limits drawn from [1e-6, 1e6), of both signs: numbers that few of them are in float32."""
    draw = np.random.default_rng(11)
    for end in ("low", "high"):
        for limit in draw.choice([-1, 1], 50) * 10 ** draw.uniform(-6, 6, 50):

            @dataclass(frozen=True, eq=False)
            class Bounded(LIF):
                decay: Value = param(float(limit), **{end: float(limit)})

            near = np.float32(limit)
            for value in (limit, near, [float(limit)], np.full(3, near), torch.tensor(limit)):
                assert np.all(np.asarray(Bounded(decay=value).node((3,)).params["decay"]) == near)
            beyond = np.nextafter(near, np.float32(-np.inf if end == "low" else np.inf))
            with pytest.raises(GraphError, match="decay lies outside"):
                Bounded(decay=beyond)
            layer = Neuron(Bounded())
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                layer.load_state_dict(
                    {**layer.state_dict(), "decay": torch.tensor(limit, dtype=torch.float64)}
                )


@bounded
def test_declarations_outside_the_range_are_refused(model: type[NeuronModel], name: str) -> None:
    draw = np.random.default_rng(1)
    for value in outside(model, name, draw):
        for given in (value, [0.5, value], np.array([value, 0.5]), torch.tensor(value, requires_grad=True)):
            with pytest.raises(GraphError, match=f"{name} lies outside"):
                made(model, name, given)


@named
def test_values_that_are_no_numbers_are_refused(model: type[NeuronModel], name: str) -> None:
    for wrong in ("0.9", 1j, object(), float("nan"), float("inf"), 1e39):
        with pytest.raises(SpikeflowError, match=name):
            made(model, name, wrong)


@named
def test_the_declaration_keeps_its_own_copy(model: type[NeuronModel], name: str) -> None:
    array = np.full(SIZE, 0.5)
    declared = made(model, name, array)
    array[:] = 0.25
    assert (np.asarray(declared.params()[name]) == 0.5).all()
    assert not np.asarray(declared.params()[name]).flags.writeable


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_time_constants_are_seconds_above_0(seconds: float) -> None:
    for make in (
        lambda: LIF.from_tau(seconds, 1e-3),
        lambda: LIF.from_tau(1e-2, seconds),
        lambda: CubaLIF.from_tau(np.array([1e-2, seconds]), 1e-2, 1e-3),
        lambda: TwoPointLIF.from_tau(1e-2, seconds, 1e-3),
    ):
        with pytest.raises(GraphError, match="seconds above 0"):
            make()


def limit(model: type[NeuronModel], name: str, value: float) -> float:
    """Where a layer holds a value; a threshold that spikes are compared with alone stays above 2^-76, so that no
    state below 2^-100 decides one.
    """
    low, high = ranges(model)[name]
    alone = name == "threshold" and name in (compared(made(model, name).program()) or ())
    return float(np.clip(value, max(low, SEEN) if alone else low, high))


def moved(layer: Neuron, name: str, value: float) -> None:
    with torch.no_grad():
        getattr(layer, name).fill_(value)


@bounded
@pytest.mark.parametrize("count", [(), (SIZE,)], ids=["scalar", "per neuron"])
def test_a_layer_computes_within_the_range(
    model: type[NeuronModel], name: str, count: tuple[int, ...]
) -> None:
    """A learned value beyond an end is that end; its gradient leads back, never further out."""
    draw, x = np.random.default_rng(2), currents(made(model, name), 20, 3)
    inputs = {p: torch.from_numpy(v) for p, v in x.items()}
    for value in outside(model, name, draw):
        layer = Neuron(made(model, name, np.full(count, 0.5)), learn=name)
        moved(layer, name, value)
        end = Neuron(made(model, name, limit(model, name, value)))
        assert torch.equal(layer(inputs)[0], end(inputs)[0])
        for sign in (1.0, -1.0):
            layer.zero_grad()
            (sign * layer(inputs)[0].sum()).backward()
            gradient = getattr(layer, name).grad
            assert (gradient * (1.0 if value > 0.5 else -1.0) >= 0).all()


@bounded
def test_training_leaves_no_illegal_capture(model: type[NeuronModel], name: str) -> None:
    """An optimiser pushes the parameter outwards for a while; layer and graph agree, and the loss of range is told."""
    for value in outside(model, name, np.random.default_rng(3)):
        torch.manual_seed(0)
        net = Sequential(nn.Linear(4, SIZE), Neuron(made(model, name, 0.5), learn=name), nn.Linear(SIZE, 2))
        optimiser = torch.optim.SGD(net.layers[1].parameters(), lr=1.0)
        getattr(net.layers[1], name).grad = torch.tensor(0.5 - value)
        optimiser.step()
        with pytest.warns(SpikeflowWarning, match=rf"layers\.1\.{name}: 1 of 1"):
            node = capture_trained(net, (4,), dt=1e-3, steps=5).graph.nodes["layers.1"]
        assert isinstance(node, Population)
        low, high = ranges(model)[name]
        assert low <= float(node.params[name]) <= high


def test_a_parameter_that_was_out_comes_back() -> None:
    """The gradient inside torch's own clamp is 0 outside: there a value of 1.5 would stay for ever."""
    layer = Neuron(LIF(0.5, threshold=10.0), learn="decay")
    moved(layer, "decay", 1.5)
    optimiser, x = torch.optim.SGD(layer.parameters(), lr=0.05), torch.ones(6, 1, 1)
    for _ in range(200):
        optimiser.zero_grad()
        (layer(x)[1].v - 2.0).square().sum().backward()
        optimiser.step()
    assert abs(float(layer.decay) - 0.5) < 0.05 and abs(float(layer(x)[1].v) - 2.0) < 1e-2


@bounded
def test_loading_values_outside_is_told(model: type[NeuronModel], name: str) -> None:
    layer = Neuron(made(model, name))
    for value in [*outside(model, name, np.random.default_rng(4)), float("nan")]:
        state = layer.state_dict() | {name: torch.tensor(value)}
        with pytest.warns(SpikeflowWarning, match=rf"{name}: 1 of 1 loaded values"):
            Neuron(made(model, name)).load_state_dict(state)


@pytest.mark.parametrize("model", CASES, ids=label)
def test_parameters_never_widen_the_input(model: NeuronModel) -> None:
    """Parameters of one neuron more than there are, or of the batch's shape, are refused; they would broadcast."""
    leaks = isinstance(model, TwoPointLIF) and model.mode != "coupled"
    choices = model.choices() | ({"back_propagation": True} if leaks else {})
    for name in model.params():
        for shape in ((SIZE + 1,), (3, SIZE), (2, 1, 1)):
            wide = type(model)(**{**model.params(), **choices, name: np.full(shape, 0.5)})
            x = torch.zeros(4, 3, 1 if shape == (SIZE + 1,) else SIZE)
            with pytest.raises(ShapeError, match="broadcasts to the neurons"):
                Neuron(wide)(x)


@pytest.mark.parametrize("model", CASES, ids=label)
def test_repr_shows_the_model_as_it_is_now(model: NeuronModel) -> None:
    layer = Neuron(model, learn=read_by(model))
    text = repr(layer)
    assert model.name in text
    for name, value in model.params().items():
        shown = (
            re.escape(f"{name}={np.float32(value):.6g}") if np.ndim(value) == 0 else rf"{name}=\({SIZE},\)"
        )
        assert re.search(shown, text), text
    for name, value in model.choices().items():
        assert f"{name}={value!r}" in text
    if isinstance(model, IF) and np.ndim(model.threshold) == 0:
        moved(layer, "threshold", 0.375)
        assert "threshold=0.375" in repr(layer)


def test_repr_of_a_model_without_parameters() -> None:
    assert repr(Neuron(Integrator())) == "Neuron(Integrator())"


@pytest.mark.parametrize(("tau", "dt", "said"), ((1e4, 1e-4, "time constant 10000 s at steps of 0.0001 s never fades"), (1e-3, 20, "0.001 s at steps of 20 s is forgotten")))
def test_time_constants_that_float32_does_not_hold_are_told(tau: float, dt: float, said: str) -> None:
    with pytest.warns(SpikeflowWarning, match=said):
        LIF.from_tau(tau, dt)
    with pytest.warns(SpikeflowWarning, match=said):
        CubaLIF.from_tau(dt * 5, np.array([dt * 9, tau]), dt)
