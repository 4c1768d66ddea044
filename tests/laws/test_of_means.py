"""Functions of running means: the engine's bits are the reference's, and what is handed on adds up to f of the means.

Drawn with numpy's generator from the seeds below: 400 nodes of ranks 1 to 4 with axes of 1 to 6, 1 to 7 steps, 3
samples, values of 0 (half of them), of small whole numbers, and normal ones of spread 0.001 to 1000.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.errors import GraphError, ShapeError, StageError
from spikeflow.ir import stages
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Combined, Input, Matmul, Node, Normalise, OfMeans, Output, Root, Softmax
from spikeflow.neurons.joints import joined
from spikeflow.sim import Dense, engine, reference

SAMPLES = 3
KINDS = ("product", "quotient", "root", "matmul", "softmax", "normalise")


def drawn(kind: str, rng: np.random.Generator) -> tuple[OfMeans, list[tuple[int, ...]]]:
    """A node of a kind and the shapes of its ports."""
    shape = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 5)))
    if kind in ("product", "quotient"):
        ones = rng.random((2, len(shape))) < 0.3
        a, b = (tuple(1 if one else n for one, n in zip(row, shape, strict=True)) for row in ones)
        return Combined(kind), [a, b]
    if kind == "root":
        return Root(float(rng.choice([0, 0.5]))), [shape]
    if kind == "matmul":
        lead, (n, k, m) = shape[:2], (int(v) for v in rng.integers(1, 7, 3))
        transposed = bool(rng.random() < 0.5)
        return Matmul(transposed), [(*lead, n, k), (*lead, m, k) if transposed else (*lead, k, m)]
    if kind == "softmax":
        return Softmax(), [shape]
    sizes = [size for size in range(1, prod(shape) + 1) if prod(shape) % size == 0]
    return Normalise(int(rng.choice(sizes)), float(rng.choice([0, 1e-5, 0.1])), bool(rng.random() < 0.5)), [
        shape
    ]


def values(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """What arrives: zeros, spikes and small counts of both signs, or any numbers."""
    full = (int(rng.integers(1, 8)), SAMPLES, *shape)
    x = rng.integers(-2, 4, full) if rng.random() < 0.5 else rng.normal(0, 10.0 ** rng.uniform(-3, 3), full)
    return (x * (rng.random(full) < rng.choice([0.2, 0.5, 1]))).astype(np.float32)


def around(node: Any, shapes: list[tuple[int, ...]]) -> Graph:
    nodes: dict[str, Node] = {f"x{i}": Input(shape, "current") for i, shape in enumerate(shapes)}
    edges = [Edge(f"x{i}", "node", port) for i, port in enumerate(node.ports)]
    return Graph({**nodes, "node": node, "out": Output()}, (*edges, Edge("node", "out")))


def case(kind: str, seed: int) -> tuple[OfMeans, Graph, dict[str, np.ndarray]]:
    rng = np.random.default_rng([KINDS.index(kind), seed])
    node, shapes = drawn(kind, rng)
    graph = around(node, shapes)
    found = {f"x{i}": values(shape, rng) for i, shape in enumerate(shapes)}
    steps = min(len(x) for x in found.values())
    return node, graph, {name: x[:steps] for name, x in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_engine_is_the_reference_bit_for_bit(kind: str) -> None:
    for seed in range(60):
        _, graph, x = case(kind, seed)
        steps = len(x["x0"])
        inputs = {name: Dense(value) for name, value in x.items()}
        wanted = reference.simulate(graph, inputs, steps)
        got = engine.prepare(graph)(inputs, steps)
        np.testing.assert_array_equal(got.outputs["out"], wanted.outputs["out"], err_msg=str((kind, seed)))
        assert got.counts == wanted.counts and got.counts["node"].multiply_accumulates > 0
        assert got.state == wanted.state
        first = engine.prepare(graph)({n: Dense(v[:1]) for n, v in x.items()}, 1)
        rest = {n: Dense(v[1:]) for n, v in x.items()}
        if steps > 1:  # cut, and gone on by the other of the two
            later = reference.prepare(graph)(rest, steps - 1, state=first.state)
            np.testing.assert_array_equal(later.outputs["out"], wanted.outputs["out"][1:])


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_handed_on_is_f_of_the_means_that_arrived(kind: str) -> None:
    """Up to T + 1 roundings of t f(means) in every step, none of which is larger than the largest of them."""
    for seed in range(60):
        node, graph, x = case(kind, seed)
        steps = len(x["x0"])
        run = (
            reference.simulate(graph, {n: Dense(v) for n, v in x.items()}, steps)
            .outputs["out"]
            .astype(np.float64)
        )
        sums = [np.add.accumulate(v, axis=0) for v in x.values()]
        with np.errstate(all="ignore"):
            wanted = [
                t * node.of([s[t - 1] / np.float32(t) for s in sums]).astype(np.float64)
                for t in range(1, steps + 1)
            ]
        largest = np.max(np.abs(wanted), axis=0) + np.max(np.abs(run), axis=0)
        assert np.all(np.abs(run.sum(axis=0) - wanted[-1]) <= (2 * steps + 1) * 2.0**-24 * largest), (
            kind,
            seed,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_f_is_torchs_own(kind: str) -> None:
    """In one step a node is the function; torch's in float64 is nearer than 1e-5 of the largest value."""
    for seed in range(60):
        node, _, x = case(kind, seed)
        first = [v[0] for v in x.values()]
        with np.errstate(all="ignore"):
            got = node.of(first)
        a, *b = (torch.from_numpy(v).double() for v in first)
        if isinstance(node, Combined):
            wanted = a * b[0] if kind == "product" else torch.where(b[0] == 0, 0.0, a / b[0])
        elif isinstance(node, Matmul):
            wanted = torch.matmul(a, b[0].mT if node.transposed else b[0])
        elif isinstance(node, Softmax):
            wanted = a.softmax(-1)
        elif isinstance(node, Root):
            wanted = a.clamp(min=0).sqrt().clamp(min=node.least)
        else:
            assert isinstance(node, Normalise)
            if node.epsilon == 0 or not node.centred:
                continue
            wanted = torch.nn.functional.layer_norm(
                a.reshape(len(a), -1, node.size), (node.size,), eps=node.epsilon
            )
        scale = max(1e-30, float(wanted.abs().max()))
        np.testing.assert_allclose(
            got.reshape(-1), wanted.reshape(-1), atol=1e-5 * scale * max(1, *got.shape)
        )


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_over_a_stretch_of_time(kind: str) -> None:
    """Whole and cut in two, the values are the reference's to float32 rounding, also of a difference."""
    for seed in range(20):
        node, graph, x = case(kind, seed)
        steps = len(x["x0"])
        wanted = reference.simulate(graph, {n: Dense(v) for n, v in x.items()}, steps).outputs["out"]
        arriving = [torch.from_numpy(v).requires_grad_() for v in x.values()]
        whole, _ = joined(node, arriving)
        whole.sum().backward()
        assert all(v.grad is not None and bool(torch.isfinite(v.grad).all()) for v in arriving)
        first, memory = joined(node, [v[:1].detach() for v in arriving])
        if steps > 1:
            second, _ = joined(node, [v[1:].detach() for v in arriving], memory)
            first = torch.cat([first, second])
        close: Any = {"rtol": 1e-3, "atol": 1e-3 * max(1e-30, float(np.abs(wanted).max()))}
        if kind != "normalise" and kind != "quotient":  # where a spread or divisor of 0 may be rounded
            np.testing.assert_allclose(whole.detach(), wanted, **close)
        np.testing.assert_allclose(first, whole.detach(), **close)


def test_integers_and_shapes_that_do_not_fit_are_refused_by_name() -> None:
    graph = around(Softmax(), [(3,)])
    graph = graph.with_nodes({"x0": Input((3,), "spikes")})
    with pytest.raises(StageError, match="node.*floats only"):
        stages.check(graph, "fixed")
    for node, shapes in (
        (Combined(), [(2, 3), (3,)]),
        (Combined(), [(2, 3), (2, 4)]),
        (Matmul(), [(2, 3), (2, 3)]),
        (Normalise(4), [(6,)]),
    ):
        with pytest.raises(ShapeError, match="node"):
            around(node, shapes)
    for node in (Combined("sum"), Root(-1.0), Normalise(0), Normalise(1, -1.0)):
        with pytest.raises(GraphError, match="node"):
            around(node, [(1,)] * len(node.ports))
