"""Random populations: our models with random parameters, and integer programs of random rounding and overflow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikeflow.ir.fixed import NARROWINGS, ROUNDINGS, Fixed
from spikeflow.ir.nodes import Population, Shape
from spikeflow.ir.ops import Recorder
from spikeflow.neurons import IF, LIF, CubaLIF, Integrator, TwoPointLIF

STATE = Fixed(24)


def _some(r: np.random.Generator, shape: Shape, low: float, high: float) -> Any:
    """One number, one a channel, or one a neuron, between low and high."""
    sizes = ((), (shape[0], *(1,) * (len(shape) - 1)), shape)
    return r.uniform(low, high, sizes[int(r.integers(3))]).astype(np.float32)


def float_population(r: np.random.Generator, shape: Shape) -> Population:
    """One of the models; asleep at first now and then, and not always from rest."""
    reset = str(r.choice(["zero", "subtract"]))
    threshold = _some(r, shape, 0.1, 1.5)
    decay = _some(r, shape, 0.0, 1.0)
    back = bool(r.random() < 0.5)
    models = (
        IF(threshold, reset),
        LIF(decay, threshold, reset),
        Integrator(),
        CubaLIF(_some(r, shape, 0, 1), decay, threshold, reset),
        TwoPointLIF(
            decay,
            _some(r, shape, 0, 1),
            _some(r, shape, -2, 2),
            _some(r, shape, -1, 1) if back else 0.0,
            threshold,
            reset,
            back,
        ),
    )
    model = models[int(r.integers(len(models)))]
    initial = {s: _some(r, shape, -1, 1) for s in model.states() if r.random() < 0.3}
    return replace(model.node(shape, initial), start=int(r.integers(0, 6)) if r.random() < 0.3 else 0)


def fixed_population(r: np.random.Generator, shape: Shape) -> Population:
    """Decay by a product and a shift, a second port that gates by a table, narrowing of every kind."""
    two = bool(r.random() < 0.4)
    recorder = Recorder(
        ("in", "gate") if two else ("in",), ("v", "a") if two else ("v",), ("decay", "threshold")
    )
    ops, p, s = recorder.ops, recorder.p, recorder.s
    rounding, overflow = str(r.choice(ROUNDINGS)), str(r.choice(NARROWINGS))
    x = ops.shift(recorder.x[0], int(r.integers(-3, 7)) or 1, rounding)
    if two:
        a = s.a - ops.mul(s.a, p.decay, 12, rounding) + recorder.x[1]
        a = ops.narrow(a, int(r.integers(8, 24)), overflow, "a")
        x = ops.mul(x, 16 + ops.table(ops.shift(a, -2, "floor") + 4, "gate"), 4, rounding)
    v = ops.mul(s.v, p.decay, 12, rounding) + x
    z = ops.spike(v - p.threshold)
    kept = v - z * p.threshold if r.random() < 0.5 else ops.where(z, 0, v)
    kept = ops.narrow(kept, int(r.integers(10, 25)), overflow, "v")
    program = recorder.program(z if r.random() < 0.9 else kept, (kept, a) if two else (kept,))
    tables = {"gate": tuple(int(n) for n in r.integers(-16, 17, int(r.integers(1, 12))))} if two else {}
    params = {"decay": _whole(r, shape, 0, 4096), "threshold": _whole(r, shape, 1, 1500)}
    initial = {"v": _whole(r, shape, -500, 500)} if r.random() < 0.3 else {}
    start = int(r.integers(0, 6)) if r.random() < 0.3 else 0
    return Population(
        "random",
        replace(program, tables=tables),
        params,
        shape,
        start,
        initial,
        dict.fromkeys(program.states, STATE),
    )


def _whole(r: np.random.Generator, shape: Shape, low: int, high: int) -> Any:
    return np.floor(_some(r, shape, low, high)).astype(np.int32)
