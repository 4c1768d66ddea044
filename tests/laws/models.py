"""Every neuron model with parameters worth testing; a model missing here fails `test_models.test_all_covered`."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output
from spikeflow.ir.program import Program
from spikeflow.neurons import (
    ALIF,
    DHLIF,
    EGRU,
    IF,
    ILIF,
    LIF,
    TCLIF,
    AdEx,
    AdLIF,
    BurstIF,
    CSiLIF,
    CubaLIF,
    DifferenceDecoder,
    DifferenceEncoder,
    DifferentialIF,
    FollowingIF,
    Integrator,
    Izhikevich,
    LeakyIntegrator,
    MultiThresholdIF,
    NeuronModel,
    ParametricLIF,
    SignedIF,
    SiLIF,
    SlidingPSN,
    TwoPointAnalog,
    TwoPointLIF,
)
from spikeflow.neurons.surrogate import Surrogate, straight_through

SIZE = 7


def _spread(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, SIZE, dtype=np.float32)


CASES: tuple[NeuronModel, ...] = (
    IF(),
    IF(reset="zero"),
    IF(threshold=_spread(0.3, 1.2)),
    FollowingIF(0.5, "sigmoid"),
    FollowingIF(_spread(0.2, 1), "clamp", high=0.8),
    SignedIF(_spread(0.2, 1)),
    SignedIF(0.25, "tanh"),
    BurstIF(_spread(0.1, 0.5)),
    MultiThresholdIF(_spread(0.1, 0.5)),
    SignedIF(0.25, "elu", alpha=_spread(0.5, 2)),
    DifferentialIF(0.3),
    DifferentialIF(_spread(0.1, 0.5), "tanh", most=1),
    DifferentialIF(0.25, "clamp", high=_spread(0.2, 0.8), most=7),
    DifferentialIF(0.3, decay=0.75),
    DifferenceEncoder(),
    DifferenceEncoder("means"),
    DifferenceDecoder(),
    DifferenceDecoder(decay=0.75),
    DifferenceDecoder("means", 0.75),
    DifferenceDecoder("means"),
    LIF(),
    LIF(decay=_spread(0, 1), reset="subtract"),
    LIF.from_tau(0.01, 1e-3),
    CubaLIF(),
    CubaLIF(decay_current=_spread(0.1, 0.9), reset="subtract"),
    CubaLIF.from_tau(5e-3, 1e-2, 1e-3),
    IF(reset="value", reset_value=_spread(-0.5, 0.5)),
    IF(threshold=0.7, reset="none", refractory=1),
    LIF(reset="none", convention="normalised", threshold=0.2),
    LIF(decay=_spread(0, 1), reset="value", reset_value=-0.3, refractory=3),
    LIF(threshold=0.5, reset="subtract", refractory=2),
    CubaLIF(convention="normalised", threshold=0.1, refractory=5),
    CubaLIF(reset="value", reset_value=0.25),
    ParametricLIF(threshold=0.5),
    ParametricLIF.from_tau_steps(_spread(1.5, 9), threshold=0.3),
    ParametricLIF(leak=-1.0, reset="subtract", convention="raw", refractory=1),
    ALIF(),
    ALIF.from_tau(0.01, 0.02, 1e-3, adaptation=1.8),
    ALIF(adaptation=_spread(0, 1), reset="zero", convention="normalised", threshold=0.2),
    ALIF(0.5, 0.8, reset="value", refractory=2),
    AdLIF(threshold=0.1),
    AdLIF(0.818731, 0.983471, a=1.0, threshold=_spread(0.05, 0.3)),
    AdLIF(0.5, _spread(0, 0.9), a=0.2, scale=4.0, threshold=0.1, reset="subtract", refractory=1),
    SiLIF(threshold=0.3),
    SiLIF.from_rates(_spread(10, 250), 5.0, 4e-3, a=-0.5),
    SiLIF(reset="zero", threshold=0.2, refractory=2),
    CSiLIF(),
    CSiLIF.from_rates(0.5, _spread(0, 6), _spread(0.01, 0.6)),
    CSiLIF(reset="value", refractory=3),
    TCLIF(),
    TCLIF(-1.4, 1.4, threshold=1.8),
    TCLIF(beta_dendrite=_spread(-2, 2), reset="zero", refractory=1),
    ILIF(),
    ILIF(decay=_spread(0, 1), threshold=0.4, levels=8),
    Izhikevich(gain=60.0),
    Izhikevich.from_published(0.02, 0.25, -50.0, 2.0, dt=0.5, gain=150.0),
    AdEx(dt=1.0, gain=3000.0),
    AdEx(dt=0.5, gain=9000.0, a=_spread(0, 8)),
    EGRU(),
    EGRU(threshold=_spread(0.05, 0.4), reset="zero"),
    EGRU(reset="none"),
    DHLIF(threshold=0.1),
    DHLIF(1, 0.0, 0.05, decay_1=0.0),
    DHLIF(branches=2, threshold=0.05, decay_2=_spread(0, 1), reset="zero", refractory=2),
    SlidingPSN(),
    SlidingPSN(order=1, threshold=0.5),
    SlidingPSN(order=8, weight_7=_spread(-1, 1)),
    TwoPointLIF(),
    TwoPointLIF(gain=3.0, reset="subtract"),
    TwoPointLIF(bap=0.4, back_propagation=True),
    TwoPointLIF.from_tau(0.01, 0.02, 1e-3, gain=0.0),
    TwoPointLIF(mode="isolation", reset="value", reset_value=0.2),
    TwoPointLIF(
        0.6, mode="amplify", gain=4.0, threshold=0.4, strength=_spread(0, 2), convention="normalised"
    ),
    TwoPointLIF(mode="drive", apical_discharge=True, reset="subtract"),
    TwoPointLIF(mode="amplify_drive", gain=4.0, burst=True, burst_threshold=0.2),
    TwoPointLIF(mode="pass", apical_threshold=_spread(-0.3, 0.2)),
    TwoPointLIF(mode="pass", apical_threshold=0.1, bap=0.3, back_propagation=True, apical_discharge=True),
    TwoPointLIF(mode="cooperation", decay=0.8),
    TwoPointLIF(mode="coupled", reset="subtract"),
    TwoPointLIF(mode="coupled", to_soma=_spread(0, 1), burst=True),
    TwoPointAnalog(),
    TwoPointAnalog(gain=_spread(-2, 2), memory=0.5, phi="relu"),
    TwoPointAnalog(law="additive", phi="relu"),
    TwoPointAnalog(law="kay_phillips"),
    TwoPointAnalog(law="linear"),
    TwoPointAnalog(law="tanh_rc", memory=_spread(0, 1)),
    TwoPointAnalog(law="pow2"),
    TwoPointAnalog(law="cooperation"),
    TwoPointAnalog(law="published_cooperation", phi="relu"),
    Integrator(),
    LeakyIntegrator(),
    LeakyIntegrator(decay=_spread(0, 1), convention="raw"),
    LeakyIntegrator.from_tau(0.02, 1e-3),
)


def label(model: NeuronModel) -> str:
    """A test's name for a case."""
    return f"{model.name}-{getattr(model, 'reset', 'none')}-{CASES.index(model)}"


def read_by(model: NeuronModel) -> list[str]:
    """The parameters that the model's step reads; `bap` only with back-propagation."""
    return [n for n in model.params() if n != "bap" or getattr(model, "back_propagation", False)]


def spikes_of(model: NeuronModel) -> set[int]:
    """The slots of the model's spikes; a gate and a burst have their own."""
    return {int(i.value) for i in model.program().code if i.op == "spike"}


def feeds_back(model: NeuronModel) -> bool:
    """Whether the gradient of a jump (a spike, a rounding with a slot) reaches more than the output that it is."""
    program, jumps = model.program(), list[bool]()
    for i in program.code:
        args = i.args[1:] if i.op == "where" else i.args
        own = i.op == "spike" or (i.op in ("floor", "round") and bool(i.value))
        jumps.append(i.op != "hold" and (own or any(jumps[a] for a in args)))
    handed_on = jumps[program.output] and program.code[program.output].op != "spike"
    return handed_on or any(jumps[r] for r in program.next_states)


def slots_of(model: NeuronModel, derivative: Surrogate) -> dict[int, Program]:
    """One surrogate in every slot of the model's spikes, and straight through roundings, as a layer has it."""
    rounds = {int(i.value) for i in model.program().code if i.op in ("floor", "round") and i.value}
    straight = dict.fromkeys(rounds, straight_through.program())
    return straight | dict.fromkeys(spikes_of(model), derivative.program())


def needs(model: type[NeuronModel], name: str) -> dict[str, object]:
    """The choice with which a model has this parameter."""
    when = next(f for f in fields(model) if f.name == name).metadata.get("when")
    return {when[0]: when[1][0]} if when else {}


def ranges(model: type[NeuronModel]) -> dict[str, tuple[float, float]]:
    """The declared range of each parameter."""
    return {f.name: (f.metadata["low"], f.metadata["high"]) for f in fields(model) if "param" in f.metadata}


def lone_graph(model: NeuronModel) -> Graph:
    """One current Input for each port, the population, an Output."""
    nodes = {port: Input((SIZE,), "current") for port in model.inputs}
    edges = [Edge(port, "cells", port) for port in model.inputs]
    return Graph({**nodes, "cells": model.node((SIZE,)), "out": Output()}, (*edges, Edge("cells", "out")))


def currents(model: NeuronModel, steps: int, samples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random currents ``(T, B, N)`` for each port, silent for a while in the middle."""
    draw = np.random.default_rng(seed)
    found = {port: draw.normal(0.2, 0.6, (steps, samples, SIZE)).astype(np.float32) for port in model.inputs}
    for x in found.values():
        x[steps // 3 : steps // 2] = 0
    return found
