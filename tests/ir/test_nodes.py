"""Every kind: its shape rule against brute force, its checks, its readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.errors import GraphError, ModelError, ShapeError, StageError
from spikeflow.ir import file, stages
from spikeflow.ir.arrays import Quantised, frozen
from spikeflow.ir.difference import difference
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    KINDS,
    Activation,
    BatchNorm,
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Gather,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Passing,
    Permute,
    Pool,
    Population,
    Reshape,
    Scale,
    Slice,
    Sparse,
    SumPool,
    Upsample,
)
from spikeflow.ir.nodes.families import gathered
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.record import Network, RunRecord
from spikeflow.ir.show import show
from spikeflow.sim import engine, forecast, reference
from spikeflow.sim.inputs import Dense
from tests.ir.kinds import EXAMPLES, spiking, stateless

IDENTITY = Program(("in",), ("v",), ("p",), (Instruction("input", name="in"),), 0, (0,))
small = st.integers(1, 6)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def shape_of(node: Any, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    node.check("n")
    return node.output_shape("n", shapes)


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(KINDS)
    assert all(type(e.node) is KINDS[k] for k, e in EXAMPLES.items() if k not in ("Input", "Output"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [spiking, stateless])
def test_reference_and_engine_run_every_kind(kind: str, make: Any) -> None:
    graph, rng = make(kind), np.random.default_rng(0)
    x = Dense((rng.random((6, 2, *EXAMPLES[kind].arriving)) < 0.4).astype(np.float32))
    expected = reference.simulate(graph, x, 6)
    if kind in ("BatchNorm", "Activation"):  # of stage ann
        with pytest.raises(StageError, match="node"):
            engine.prepare(graph)(x, 6)
        return
    got = engine.prepare(graph)(x, 6)
    assert np.any(expected.outputs["out"])
    np.testing.assert_array_equal(got.outputs["out"], expected.outputs["out"])
    for name, counts in expected.counts.items():
        assert got.counts[name].accumulates == counts.accumulates, name
        assert got.counts[name].multiply_accumulates == counts.multiply_accumulates, name


PASSING = [kind for kind, example in EXAMPLES.items() if isinstance(example.node, Passing)]


@pytest.mark.parametrize("kind", [*PASSING, "MaxPool any"])
def test_what_passes_stays_whole_and_grows_no_further_than_it_says(kind: str) -> None:
    """Whole numbers of -3 to 5, 20 steps of 4 samples; with other numbers of the same interval, too."""
    node = EXAMPLES[kind.partition(" ")[0]].node
    node = replace(node, mode="any") if isinstance(node, MaxPool) and kind != "MaxPool" else node
    assert isinstance(node, Passing)
    nodes = {"out": Output(), "n": node}
    nodes |= {f"in{i}": Input(EXAMPLES[node.__class__.__name__].arriving, "spikes") for i in range(len(node.ports))}
    edges = [Edge("n", "out"), *(Edge(f"in{i}", "n", port) for i, port in enumerate(node.ports))]
    graph, rng = Graph(nodes, tuple(edges)), np.random.default_rng(5)
    inputs = {n: rng.integers(-3, 6, (20, 4, *graph.shapes[n])).astype(np.float32) for n in graph.inputs}
    found = reference.simulate(graph, {n: Dense(x) for n, x in inputs.items()}, 20).outputs["out"]
    assert (found == np.round(found)).all() and np.any(found)
    assert -3 * node.growth <= found.min() <= found.max() <= 5 * node.growth
    if isinstance(node, Pool):
        factor = np.array([0.5, 2.0], np.float32)[:, None, None]
        assert node.carries(factor)
        scaled = {n: Dense(x * factor) for n, x in inputs.items()}
        whole = not isinstance(node, MaxPool) or not node.counts  # which sums halves as whole numbers
        if whole:
            again = reference.simulate(graph, scaled, 20).outputs["out"]
            np.testing.assert_array_equal(again, found * factor)
        assert node.carries(-factor) == np.array_equal(
            _at_once(node, -factor * inputs["in0"][0]), -factor * _at_once(node, inputs["in0"][0])
        )


def _at_once(node: Any, x: np.ndarray) -> np.ndarray:
    return node.largest(x) if isinstance(node, MaxPool) else node.value([x])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_cut_in_two_keeps_what_every_kind_remembers(kind: str) -> None:
    graph, rng = spiking(kind), np.random.default_rng(0)
    values = (rng.random((6, 2, *EXAMPLES[kind].arriving)) < 0.4).astype(np.float32)
    if kind in ("BatchNorm", "Activation"):
        return
    for runner in (reference.prepare(graph), engine.prepare(graph)):
        whole = runner(Dense(values), 6)
        first = runner(Dense(values[:2]), 2)
        second = runner(Dense(values[2:]), 4, state=first.state)
        parts = np.concatenate([first.outputs["out"], second.outputs["out"]])
        np.testing.assert_array_equal(parts, whole.outputs["out"])
        assert second.state == whole.state


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [spiking, stateless])
def test_files_and_text_of_every_kind(kind: str, make: Any, tmp_path: Path) -> None:
    network = Network(make(kind), RunRecord(6, "spikes"))
    if make is spiking and kind in ("BatchNorm", "Activation"):  # not beside neurons
        with pytest.raises(StageError, match="first"):
            file.write(tmp_path / "net.h5", network)
        return
    file.write(tmp_path / "net.h5", network)
    again = file.read(tmp_path / "net.h5")
    assert again.graph.digest == network.graph.digest and not difference(again, network)
    assert f" {kind}" in show(again.graph) and stages.stage_of(again.graph) == stages.stage_of(network.graph)
    forecast.expect_room(again.graph, forecast.Size(6, 2, 1))


@given(small, small, pairs, pairs, pairs, st.tuples(small, small, small, small))
def test_conv_shape(height: int, width: int, kernel: Any, stride: Any, dilation: Any, padding: Any) -> None:
    top, bottom, left, right = padding
    node = Conv2d(
        np.ones((4, 1, *kernel)),
        stride=stride,
        padding=((top, bottom), (left, right)),
        dilation=dilation,
        groups=2,
    )
    counts = [
        len(range(0, n - d * (k - 1), s))
        for n, d, k, s in zip(
            (height + top + bottom, width + left + right), dilation, kernel, stride, strict=True
        )
    ]
    if min(counts) == 0:
        with pytest.raises(ShapeError):
            shape_of(node, (2, height, width))
    else:
        assert shape_of(node, (2, height, width)) == (4, *counts)


@given(st.integers(3, 7), st.integers(3, 7), pairs, pairs)
def test_pool_shape(height: int, width: int, kernel: Any, stride: Any) -> None:
    counts = tuple(
        len(range(0, n - k + 1, s)) for n, k, s in zip((height, width), kernel, stride, strict=True)
    )
    assert shape_of(SumPool(kernel, stride), (2, height, width)) == (2, *counts)


@given(st.data())
def test_slice_and_pad_shapes(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(small, min_size=1, max_size=4)))
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    step = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    x = np.zeros(shape)
    cut = x[tuple(slice(a, b, s) for a, b, s in zip(start, stop, step, strict=True))]
    assert shape_of(Slice(start, stop, step), shape) == cut.shape
    assert shape_of(Pad(start, step), shape) == np.pad(x, tuple(zip(start, step, strict=True))).shape


@given(st.data())
def test_permute_and_upsample_as_numpy_does_them(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(small, min_size=1, max_size=4)))
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    factors = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    x = np.random.default_rng(0).integers(1, 100, (2, *shape))
    ones = np.ones((1, *factors), int)
    for node, expected in (
        (Permute(axes), np.transpose(x, (0, *(a + 1 for a in axes)))),
        (Upsample(factors), np.kron(x, ones)),
    ):
        assert shape_of(node, shape) == expected.shape[1:]
        np.testing.assert_array_equal(
            gathered([x], node.index_map([shape])).reshape(expected.shape), expected
        )


@given(st.data())
def test_a_move_is_its_index_map(data: st.DataObject) -> None:
    """What it does to any array of numbers other than 0 is the gather; zeros lie where nothing does."""
    shape = tuple(data.draw(st.lists(small, min_size=1, max_size=4)))
    before, after = (tuple(data.draw(st.integers(0, 2)) for _ in shape) for _ in range(2))
    axis = data.draw(st.integers(0, len(shape) - 1))
    index = st.lists(st.integers(-1, int(np.prod(shape)) - 1), min_size=6, max_size=6)
    for node in (
        Flatten(),
        Pad(before, after),
        Slice((0,) * len(shape), shape, (2,) * len(shape)),
        Concat(axis, 2),
        Reshape((1, *reversed(shape))),
        Gather(data.draw(index), shape, (2, 3)),
    ):
        x = [np.random.default_rng(i).integers(1, 100, shape) for i, _ in enumerate(node.ports)]
        moved = gathered([v[None] for v in x], node.index_map([shape] * len(x)))
        np.testing.assert_array_equal(moved[0], node.moved(x, 0).reshape(-1))
        assert np.array_equal(node.index_map([shape] * len(x)) == -1, node.moved(x, 0).reshape(-1) == 0)


def test_where_nothing_lies_a_gather_holds_another_value_of_its_channel() -> None:
    """So that a factor for each channel that travels along stays one number for each channel."""
    node = Gather([-1, 2, -1, -1, -1, -1, 1, -1, 0], (3,), (3, 3))
    np.testing.assert_array_equal(node.moved([np.array([5, 6, 7])], None), [[7] * 3, [5] * 3, [6, 6, 5]])
    np.testing.assert_array_equal(node.moved([np.array([5, 6, 7])], 0)[2], [6, 0, 5])


def test_what_keeps_the_order() -> None:
    assert Reshape((3, 2)).keeps_order([(2, 3)]) and Gather([0, 1], (2,), (1, 2)).keeps_order([(2,)])
    assert not Gather([0, 0], (2,), (2,)).keeps_order([(2,)])
    assert Flatten().keeps_order([(2, 3)]) and Permute((0, 1)).keeps_order([(2, 3)])
    assert Permute((1, 0)).keeps_order([(1, 3)]) and not Permute((1, 0)).keeps_order([(2, 3)])
    assert not Slice((0,), (2,), (1,)).keeps_order([(3,)]) and not Pad((0,), (1,)).keeps_order([(3,)])
    assert Upsample((1,)).keeps_order([(3,)]) and not Upsample((2,)).keeps_order([(3,)])


def test_other_shapes() -> None:
    assert shape_of(Input((2, 3))) == (2, 3)
    assert shape_of(Output(), (2, 3)) == (2, 3)
    assert shape_of(Linear(np.ones((5, 6))), (2, 3)) == (5,)
    assert shape_of(Flatten(), (2, 3)) == (6,) and shape_of(Flatten(), ()) == (1,)
    assert shape_of(Concat(1, 3), (2, 3), (2, 1), (2, 4)) == (2, 8)
    assert shape_of(Scale(np.ones((2, 1))), (2, 3)) == (2, 3)
    assert shape_of(BatchNorm([0, 0], [1, 1], [1, 1], [0, 0]), (2, 3, 4)) == (2, 3, 4)
    assert shape_of(Activation(), (2, 3)) == (2, 3)
    assert shape_of(Sparse([0, 2, 3], [3, 0, 1], [0.5], (2,), (2, 2)), (2,)) == (2, 2)
    assert shape_of(Population("m", IDENTITY, {"p": 1}, (2, 3)), (2, 3)) == (2, 3)
    assert Concat(0, 3).ports == ("in0", "in1", "in2")


WRONG: dict[str, Any] = {
    "input of no size": lambda: Input((2, 0)),
    "input of 9 dimensions": lambda: Input((1,) * 9),
    "input too large": lambda: Input((2**31,)),
    "input kind": lambda: Input((2,), "events"),
    "weight of a vector": lambda: Linear(np.ones(3)),
    "NaN weight": lambda: Linear([[np.nan]]),
    "weight beyond float32": lambda: Linear([[1e300]]),
    "bias too long": lambda: Linear(np.ones((2, 3)), np.ones(3)),
    "infinite bias": lambda: Linear(np.ones((2, 3)), [np.inf, 0]),
    "delays of another shape": lambda: Linear(np.ones((2, 3)), delays=np.ones(2)),
    "negative delays": lambda: Linear(np.ones((2, 3)), delays=[0, -1, 0]),
    "half delays": lambda: Linear(np.ones((2, 3)), delays=[0, 0.5, 0]),
    "delays beyond 32 bits": lambda: Linear(np.ones((2, 3)), delays=[0, 2**40, 0]),
    "NaN delays": lambda: Linear(np.ones((2, 3)), delays=[0, np.nan, 0]),
    "mantissa outside": lambda: Linear(Quantised([[128]], Fixed(8))),
    "mantissa beyond 32 bits": lambda: Linear(Quantised([[2**40]], Fixed(8))),
    "kernel of 3 dimensions": lambda: Conv2d(np.ones((1, 1, 3))),
    "stride 0": lambda: Conv2d(np.ones((1, 1, 3, 3)), stride=(0, 1)),
    "dilation 0": lambda: Conv2d(np.ones((1, 1, 3, 3)), dilation=(1, 0)),
    "negative padding": lambda: Conv2d(np.ones((1, 1, 3, 3)), padding=((0, -1), (0, 0))),
    "groups 0": lambda: Conv2d(np.ones((1, 1, 3, 3)), groups=0),
    "groups that do not divide": lambda: Conv2d(np.ones((3, 1, 3, 3)), groups=2),
    "row pointers too short": lambda: Sparse([0, 1], [0], [1.0], (2,), (2,)),
    "row pointers that shrink": lambda: Sparse([0, 2, 1], [0], [1.0], (2,), (2,)),
    "row pointers from 1": lambda: Sparse([1, 1, 1], [0], [1.0], (2,), (2,)),
    "target outside": lambda: Sparse([0, 1, 1], [2], [1.0], (2,), (2,)),
    "target below": lambda: Sparse([0, 1, 1], [-1], [1.0], (2,), (2,)),
    "weights too many": lambda: Sparse([0, 1, 1], [0], [1.0, 2.0], (2,), (2,)),
    "sparse delays": lambda: Sparse([0, 1, 1], [0], [1.0], (2,), (2,), delays=[0, 0, 0]),
    "pool of 0": lambda: SumPool((0, 1), (1, 1)),
    "slice backwards": lambda: Slice((2,), (1,), (1,)),
    "slice of mixed length": lambda: Slice((0, 0), (1,), (1,)),
    "slice step 0": lambda: Slice((0,), (1,), (0,)),
    "pad of mixed length": lambda: Pad((0,), (0, 0)),
    "pad below 0": lambda: Pad((-1,), (0,)),
    "concat of none": lambda: Concat(0, 0),
    "concat axis": lambda: Concat(-1, 2),
    "axis twice": lambda: Permute((0, 0)),
    "axis left out": lambda: Permute((1, 2)),
    "shape of no size": lambda: Reshape((2, 0)),
    "index too short": lambda: Gather([0], (2,), (2,)),
    "index outside": lambda: Gather([0, 2], (2,), (2,)),
    "index below -1": lambda: Gather([0, -2], (2,), (2,)),
    "half an index": lambda: Gather([0, 0.5], (2,), (2,)),
    "factor 0": lambda: Upsample((1, 0)),
    "delay of no step": lambda: Delay(0),
    "delay of a million steps": lambda: Delay(2**20),
    "NaN factor": lambda: Scale(np.nan),
    "negative variance": lambda: BatchNorm([0], [-1], [1], [0]),
    "epsilon 0": lambda: BatchNorm([0], [1], [1], [0], 0.0),
    "epsilon NaN": lambda: BatchNorm([0], [1], [1], [0], float("nan")),
    "channels differ": lambda: BatchNorm([0], [1], [1, 2], [0]),
    "unknown activation": lambda: Activation("softmax"),
    "parameter of another activation": lambda: Activation("tanh", {"slope": 1}),
    "slope NaN": lambda: Activation("leaky_relu", {"slope": float("nan")}),
    "param missing": lambda: Population("m", IDENTITY, {}, (2,)),
    "param unknown": lambda: Population("m", IDENTITY, {"p": 1, "q": 1}, (2,)),
    "param does not broadcast": lambda: Population("m", IDENTITY, {"p": [1, 2, 3]}, (2,)),
    "param NaN": lambda: Population("m", IDENTITY, {"p": np.nan}, (2,)),
    "initial unknown": lambda: Population("m", IDENTITY, {"p": 1}, (2,), initial={"u": 0}),
    "start -1": lambda: Population("m", IDENTITY, {"p": 1}, (2,), -1),
    "fixed param not whole": lambda: Population("m", IDENTITY, {"p": 0.5}, (2,), formats={"v": Fixed(8)}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_node_refuses(what: str) -> None:
    with pytest.raises(ModelError):
        WRONG[what]().check("n")


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (Linear(np.ones((2, 3))), (4,)),
        (Conv2d(np.ones((1, 2, 3, 3))), (1, 5, 5)),
        (Conv2d(np.ones((1, 2, 3, 3))), (2, 2, 5)),
        (Conv2d(np.ones((1, 2, 3, 3))), (2, 5)),
        (Sparse([0, 0], [], [], (1,), (1,)), (2,)),
        (SumPool((2, 2), (1, 1)), (3, 1, 4)),
        (SumPool((2, 2), (1, 1)), (4, 4)),
        (Slice((0,), (3,), (1,)), (2,)),
        (Slice((0,), (3,), (1,)), (3, 3)),
        (Pad((0,), (0,)), (1, 1)),
        (Pad((2**31,), (0,)), (1,)),
        (Permute((1, 0)), (2, 3, 4)),
        (Reshape((2, 3)), (2, 4)),
        (Gather([0], (2, 3), (1,)), (6,)),
        (Upsample((2,)), (2, 3)),
        (Upsample((2**16, 2**16)), (2, 3)),
        (Scale(np.ones(2)), (3,)),
        (Scale(np.ones((1, 3))), (3,)),
        (BatchNorm([0], [1], [1], [0]), (2, 3)),
        (Population("m", IDENTITY, {"p": 1}, (2,)), (3,)),
        (Concat(1, 1), (2,)),
    ],
)
def test_sources_that_do_not_fit(node: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="n: got"):
        shape_of(node, shape)


def test_concat_refuses_different_rests() -> None:
    for shapes in (((2, 3), (3, 3)), ((2,), (2, 1))):
        with pytest.raises(ShapeError):
            shape_of(Concat(1, 2), *shapes)


def test_weights_are_float32_or_int32_delays_narrow_and_all_read_only() -> None:
    linear = Linear(np.ones((2, 2)), bias=[1, 2], delays=[[0, 1], [2, 3]])
    assert isinstance(linear.weight, np.ndarray) and linear.weight.dtype == np.float32
    assert linear.bias is not None and linear.delays is not None and linear.delays.dtype == np.uint8
    assert not (linear.weight.flags.writeable or linear.bias.flags.writeable or linear.delays.flags.writeable)
    assert Quantised(np.ones((2, 2), np.int64), Fixed(8)).values.dtype == np.int32


def test_a_read_only_array_is_shared_and_no_other() -> None:
    shared = frozen([1, 2], np.float32)
    own = np.ones(2, np.float32)
    assert frozen(shared, np.float32) is shared and not np.shares_memory(frozen(own, np.float32), own)


def test_integers_are_never_wrapped() -> None:
    for values, kind in (([2**31], np.int32), ([1.5], np.int32), ([-1], np.uint8), ([2.0**70], np.int64)):
        with pytest.raises(GraphError):
            frozen(values, kind)


def test_populations_at_stage_fixed_hold_integers() -> None:
    node = Population("m", IDENTITY, {"p": 3.0}, (2,), formats={"p": Fixed(8)})
    assert node.fixed and node.params["p"].dtype == np.int32
    assert not Population("m", IDENTITY, {"p": 3.0}, (2,)).fixed
