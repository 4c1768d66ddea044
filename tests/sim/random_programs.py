"""Random programs and populations: every operation, float and integer, several ports and states."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from spikeflow.ir.fixed import NARROWINGS, ROUNDINGS, Fixed
from spikeflow.ir.nodes import Population, Shape
from spikeflow.ir.operations import FIXED, FLOAT, OPERATIONS
from spikeflow.ir.ops import Ops, Recorder, Symbol

FORMAT = Fixed(32)


def population(rng: np.random.Generator, shape: Shape, fixed: bool, ports: int) -> Population:
    """Neurons of a random program, or of a plain one that spikes and falls asleep."""
    inputs = tuple(f"in{i}" for i in range(ports))
    recorder = Recorder(inputs, ("u", "v"), ("a", "b", "c"))
    plain = rng.random() < 0.4
    if fixed:
        program = _plain_fixed(recorder, rng) if plain else _random_fixed(recorder, rng)
    else:
        program = _plain_float(recorder, rng) if plain else _random_float(recorder, rng)
    params = {name: _param(rng, shape, fixed) for name in ("a", "b", "c")}
    initial = {} if plain else {"v": _param(rng, shape, fixed)}
    formats = {"v": FORMAT} if fixed else {}
    return Population("test", program, params, shape, int(rng.integers(0, 3)), initial, formats)


def _param(rng: np.random.Generator, shape: Shape, fixed: bool) -> Any:
    """For all neurons, for each channel, for each neuron, or along a line."""
    lines = tuple(n if rng.random() < 0.5 else 1 for n in shape)
    kinds = [(), (1,) * len(shape), (shape[0],) + (1,) * (len(shape) - 1), shape, lines]
    chosen = kinds[rng.integers(len(kinds))]
    if fixed:
        return rng.integers(1, 40, chosen)
    return rng.uniform(0.2, 1.2, chosen).astype(np.float32)


def _plain_float(r: Recorder, rng: np.random.Generator) -> Any:
    """Leaky integration with one of three resets; half of the time cut off, so that it sleeps."""
    s, p, ops = r.s, r.p, r.ops
    drive: Any = sum(r.x[1:], start=r.x[0]) if r.x else 0.5
    v = s.v * 0.5 + drive
    if rng.random() < 0.5:
        v = ops.where(ops.spike(ops.maximum(v, 0.0 - v) - 0.01), v, 0.0)
    z = ops.spike(v - p.a)
    after = [v - ops.stop_gradient(z) * p.a, ops.where(z, 0.0, v), v * (1.0 - ops.stop_gradient(z))][
        rng.integers(3)
    ]
    return r.program(z, [s.u, after])


def _plain_fixed(r: Recorder, rng: np.random.Generator) -> Any:
    s, p, ops = r.s, r.p, r.ops
    drive: Any = sum(r.x[1:], start=r.x[0]) if r.x else 5
    v = ops.mul(s.v, 11, 4, "zero") + drive
    z = ops.spike(v - p.a)
    after = [v - ops.stop_gradient(z) * p.a, ops.where(z, 0, v)][rng.integers(2)]
    return r.program(z, [s.u, ops.narrow(after, int(rng.integers(6, 25)), "saturate", "v")])


def _random_float(r: Recorder, rng: np.random.Generator) -> Any:
    ops = r.ops
    pool: list[Symbol] = [
        r.s.u,
        r.s.v,
        r.p.a,
        r.p.b,
        r.p.c,
        *r.x,
        ops.const(1.0),
        ops.const(-0.37),
    ]
    # every other floor has a slot of its own
    unary = [
        lambda x: ops.floor(x, x.index % 2),
        lambda x: ops.round(x, x.index % 2),
        *_written(ops, 1, FLOAT),
        ops.spike,
        lambda x: x * 0.25,
    ]
    binary = [
        lambda a, b: a * b,
        *_written(ops, 2, FLOAT),
    ]
    for _ in range(rng.integers(4, 25)):
        a, b, c = (pool[i] for i in rng.integers(0, len(pool), 3))
        kind = rng.integers(4)
        if kind == 0:
            pool.append(unary[rng.integers(len(unary))](a))
        elif kind == 1:
            pool.append(ops.where(a, b, c))
        else:
            pool.append(binary[rng.integers(len(binary))](a, b))
    ends = [_clip(ops, pool[-1 - i]) for i in rng.integers(0, 4, 3)]
    output = ops.spike(ends[0] - r.p.a) if rng.random() < 0.7 else ends[0]
    return r.program(output, _ends(rng, r, ends))


def _written(ops: Ops, arguments: int, stage: str) -> list[Callable[..., Symbol]]:
    """All operations of the table that take so many registers and nothing else."""
    return [
        getattr(ops, row.name)
        for row in OPERATIONS.values()
        if row.arguments == arguments and not row.takes and stage in row.stages
    ]


def _ends(rng: np.random.Generator, r: Recorder, ends: list[Symbol]) -> list[Symbol]:
    """Next states: new values, or now and then the old ones exchanged."""
    return [r.s.v, r.s.u] if rng.random() < 0.15 else ends[1:]


def _clip(ops: Any, x: Symbol) -> Symbol:
    """Within +-100, a NaN too."""
    return ops.minimum(ops.maximum(x, -100.0), 100.0)


def _random_fixed(r: Recorder, rng: np.random.Generator) -> Any:
    ops = r.ops
    tables = {"t": tuple(int(x) for x in rng.integers(-200, 200, 17)), "w": (5,)}
    pool: list[Symbol] = [r.s.u, r.s.v, *r.x, r.p.a, r.p.b, r.p.c, ops.const(1), ops.const(-7)]
    moving = list(pool[: 2 + len(r.x)])  # overflow is counted for each neuron, so it must depend on one
    for k in range(rng.integers(4, 25)):
        a, b, c = (pool[i] for i in rng.integers(0, len(pool), 3))
        m = moving[rng.integers(len(moving))]
        mode = ROUNDINGS[rng.integers(3)]
        kinds = [
            *(partial(made, a, b) for made in _written(ops, 2, FIXED)),
            lambda a=a, b=b, c=c: ops.where(a, b, c),
            lambda a=a: ops.spike(a),
            *(partial(made, a) for made in _written(ops, 1, FIXED)),
            lambda a=a: ops.table(a, "tw"[rng.integers(2)]),
            lambda a=a, mode=mode: ops.shift(a, int(rng.integers(-9, 4)), mode),
            lambda a=a, b=b, mode=mode: ops.mul(a, b, int(rng.integers(0, 9)), mode),
        ]
        pool.append(kinds[rng.integers(len(kinds))]())
        if rng.random() < 0.3:
            pool.append(_narrow(ops, rng, m, f"r{k}"))
            moving.append(pool[-1])
    ends = [_narrow(ops, rng, r.s.u + r.s.v + pool[-1 - i], f"end{i}") for i in rng.integers(0, 4, 3)]
    output = ops.spike(ends[0] - r.p.a) if rng.random() < 0.7 else _small(ops, ends[0])
    return r.program(output, _ends(rng, r, [ends[0], _small(ops, ends[1]), ends[2]]), tables)


def _small(ops: Any, x: Symbol) -> Symbol:
    return ops.narrow(x, 12, "saturate", "small")


def _narrow(ops: Any, rng: np.random.Generator, x: Symbol, label: str) -> Symbol:
    return ops.narrow(
        x, int(rng.choice([4, 8, 16, 24, 31, 32, 33, 40, 62])), NARROWINGS[rng.integers(4)], label
    )
