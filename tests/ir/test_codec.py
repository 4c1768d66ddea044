"""The codec: round trips, one text for equal values, nothing but what the classes declare."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeflow.errors import GraphError, SpikeflowError
from spikeflow.frozen import ADDED
from spikeflow.ir.arrays import Array, Quantised
from spikeflow.ir.codec import (
    MAX_TEXT,
    decode_record,
    decode_value,
    encode_record,
    encode_value,
    encoded,
)
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Flatten, Input, Linear, Node, Output, Population, Slice, Sparse, SumPool
from spikeflow.ir.program import Instruction, Program
from spikeflow.ir.record import Network


def through_text(graph: Graph) -> Graph:
    manifest, arrays = encoded(graph)
    return decode_record(Graph, json.loads(json.dumps(manifest)), [a.copy() for a in arrays])


@pytest.mark.parametrize("name", ["ann", "snn", "fixed"])
def test_round_trip_keeps_the_digest_and_every_array(name: str, request: pytest.FixtureRequest) -> None:
    graph: Graph = request.getfixturevalue(name)
    again = through_text(graph)
    assert (
        again.digest == graph.digest and list(again.nodes) == list(graph.nodes) and again.edges == graph.edges
    )
    for a, b in zip(encoded(graph)[1], encoded(again)[1], strict=True):
        assert a.dtype == b.dtype and not b.flags.writeable
        np.testing.assert_array_equal(a, b)


def test_order_of_params_does_not_matter(snn: Graph) -> None:
    hidden = snn.nodes["hidden"]
    assert isinstance(hidden, Population)
    turned = replace(hidden, params=dict(reversed(hidden.params.items())))
    assert list(turned.params) != list(hidden.params)
    assert snn.with_nodes({"hidden": turned}).digest == snn.digest


def test_order_of_nodes_and_edges_matters(snn: Graph) -> None:
    assert Graph(dict(reversed(snn.nodes.items())), snn.edges).digest != snn.digest
    assert Graph(snn.nodes, snn.edges[::-1]).digest != snn.digest


def test_layout_in_memory_does_not_matter() -> None:
    weight = np.arange(6, dtype=np.float64).reshape(2, 3)
    digests = {single(Linear(w)).digest for w in (weight, np.asfortranarray(weight), weight.astype(">f4"))}
    assert len(digests) == 1


def test_zero_and_minus_zero_and_integer_zero_differ() -> None:
    def constant(value: float) -> Graph:
        program = Program(("in",), (), (), (Instruction("const", value=value),), 0, ())
        return single(Population("zero", program, {}, (3,)), 3)

    assert len({constant(v).digest for v in (0, 0.0, -0.0)}) == 3
    assert all(through_text(constant(v)).digest == constant(v).digest for v in (0, 0.0, -0.0))


def single(node: Node, size: int = 3) -> Graph:
    return Graph(
        {"in": Input((size,)), "node": node, "out": Output()}, (Edge("in", "node"), Edge("node", "out"))
    )


# --- anything else is refused ---


def poisoned(graph: Graph, change: Any) -> None:
    manifest, arrays = encoded(graph)
    manifest = json.loads(json.dumps(manifest))
    change(manifest, arrays)
    with pytest.raises(SpikeflowError):
        decode_record(Graph, manifest, arrays)


def node(manifest: Any, name: str) -> Any:
    return next(iter(dict(manifest["nodes"])[name].values()))


ATTACKS: dict[str, Any] = {
    "no nodes": lambda m, a: m.pop("nodes"),
    "more fields": lambda m, a: m.update(extra=1),
    "nodes no list": lambda m, a: m.update(nodes={}),
    "node no pair": lambda m, a: m["nodes"].append(["x"]),
    "name no text": lambda m, a: m["nodes"][0].__setitem__(0, 7),
    "name twice": lambda m, a: m["nodes"].append(m["nodes"][0]),
    "unknown kind": lambda m, a: m["nodes"][0].__setitem__(1, {"Lambda": {}}),
    "two kinds": lambda m, a: m["nodes"][0].__setitem__(1, {"Flatten": {}, "Output": {}}),
    "kind no object": lambda m, a: m["nodes"][0].__setitem__(1, "Flatten"),
    "missing field": lambda m, a: node(m, "fc").pop("bias"),
    "unknown field": lambda m, a: node(m, "fc").update(hook="os.system"),
    "ports as a field": lambda m, a: node(m, "fc").update(ports=["in"]),
    "bool for int": lambda m, a: node(m, "fc").update(exponent=True),
    "float for int": lambda m, a: node(m, "fc").update(exponent=0.0),
    "int for float": lambda m, a: m.update(dt=1),
    "text for int": lambda m, a: node(m, "hidden").update(start="0"),
    "huge int": lambda m, a: node(m, "hidden").update(start=2**63),
    "infinite float": lambda m, a: m.update(dt=float("inf")),
    "NaN": lambda m, a: m.update(dt=float("nan")),
    "array that is not there": lambda m, a: node(m, "fc").update(weight={"array": 99}),
    "array -1": lambda m, a: node(m, "fc").update(weight={"array": -1}),
    "array true": lambda m, a: node(m, "fc").update(weight={"array": True}),
    "array with more": lambda m, a: node(m, "fc")["weight"].update(extra=1),
    "array as list": lambda m, a: node(m, "fc").update(weight=[[1.0]]),
    "array used twice": lambda m, a: node(m, "fc").update(weight=node(m, "conv")["weight"]),
    "array unused": lambda m, a: a.append(np.zeros(1, np.float32)),
    "array of float64": lambda m, a: a.__setitem__(0, a[0].astype(np.float64)),
    "array of objects": lambda m, a: a.__setitem__(0, a[0].astype(object)),
    "array with NaN": lambda m, a: a.__setitem__(0, a[0] * np.nan),
    "array of wrong shape": lambda m, a: a.__setitem__(0, a[0].ravel()),
    "padding too deep": lambda m, a: node(m, "conv").update(padding=[[[0], 0], [0, 0]]),
    "padding too long": lambda m, a: node(m, "conv").update(padding=[[0, 0], [0, 0], [0, 0]]),
    "huge padding": lambda m, a: node(m, "conv").update(padding=[[2**62, 2**62], [2**62, 2**62]]),
    "huge stride": lambda m, a: node(m, "conv").update(stride=[2**62, 2**62]),
    "shape of 9 dimensions": lambda m, a: node(m, "hidden").update(shape=[1] * 9),
    "shape of 2**62": lambda m, a: node(m, "hidden").update(shape=[2**62]),
    "control characters": lambda m, a: node(m, "hidden").update(model="\x1b[2J"),
    "half a surrogate": lambda m, a: node(m, "hidden").update(model="\ud800"),
    "long text": lambda m, a: node(m, "hidden").update(model="x" * (MAX_TEXT + 1)),
    "edge to nowhere": lambda m, a: m["edges"][0].update(dst="nowhere"),
    "edge to no port": lambda m, a: m["edges"][0].update(port="apical"),
    "edge as list": lambda m, a: m["edges"].append(["image", "conv"]),
    "loop without delay": lambda m, a: m["edges"][-2].update(delay=0),
    "negative delay": lambda m, a: m["edges"][-2].update(delay=-1),
    "program reads ahead": lambda m, a: node(m, "hidden")["program"]["code"][0].update(op="hold", args=[0]),
    "params no object": lambda m, a: node(m, "hidden").update(params=[]),
    "param unknown": lambda m, a: node(m, "hidden")["params"].update(x={"array": 0}),
    "format beyond 64 bits": lambda m, a: node(m, "image").update(
        format={"bits": 65, "frac": 0, "signed": True}
    ),
    "format signed by 1": lambda m, a: node(m, "image").update(format={"bits": 8, "frac": 0, "signed": 1}),
    "concat of too many": lambda m, a: node(m, "both").update(count=2**40),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_poisoned_manifests_are_refused(attack: str, snn: Graph) -> None:
    poisoned(snn, ATTACKS[attack])


@pytest.mark.parametrize("manifest", [None, 1, "graph", [], {}, {"nodes": [], "edges": []}, [[[[]]]]])
def test_other_json_is_refused(manifest: Any) -> None:
    with pytest.raises(GraphError):
        decode_record(Graph, manifest, [])


def test_errors_do_not_repeat_long_values(snn: Graph) -> None:
    manifest, arrays = encoded(snn)
    manifest["dt"] = "x" * 10**6
    with pytest.raises(GraphError) as caught:
        decode_record(Graph, manifest, arrays)
    assert len(str(caught.value)) < 300


# --- other classes ---


@dataclass(frozen=True, eq=False)
class Word:
    target: int
    weight: float = 0.0


@dataclass(frozen=True, eq=False)
class Core:
    """What a mapping file may hold."""

    words: tuple[Word, ...]
    at: tuple[int, int]
    routes: Mapping[str, tuple[Word, ...]]
    memory: Array
    either: Word | Fixed | None = None
    weight: Array | Quantised | None = None
    graph: Graph | None = None
    number: int | float = 0
    names: Mapping[str, str] = field(default_factory=dict)
    on: bool = False


def core(**more: Any) -> Core:
    return Core(
        (Word(1, 2.5), Word(2)), (3, 4), {"b": (Word(5),), "a": ()}, np.arange(4, dtype=np.uint16), **more
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"either": Word(1)},
        {"either": Fixed(8)},
        {"weight": np.zeros((2, 0), np.int8)},
        {"number": 1.5},
        {"weight": Quantised(np.ones((2, 2)), Fixed(8, 3))},
        {"on": True, "names": {"y": "1", "x": "ä\n"}},
        {"weight": np.full((), 1.5)},
    ],
)
def test_records_of_any_class(more: dict[str, Any]) -> None:
    arrays: list[Array] = []
    manifest = encode_record(core(**more), arrays)
    text = json.dumps(manifest)
    again: list[Array] = []
    assert json.dumps(encode_record(decode_record(Core, json.loads(text), arrays), again)) == text
    for a, b in zip(arrays, again, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and (a == b).all()


def test_a_graph_inside_a_record(snn: Graph) -> None:
    arrays: list[Array] = []
    again = decode_record(Core, encode_record(core(graph=snn), arrays), arrays)
    assert again.graph is not None and again.graph.digest == snn.digest


def test_numpy_numbers_are_written_as_numbers() -> None:
    a, b = (encode_record(Word(t, w), []) for t, w in ((np.int64(3), np.float32(0.5)), (3, 0.5)))
    assert a == b and json.dumps(a) == json.dumps(b)
    assert encode_record(Word(3, 1), []) == {"target": 3, "weight": 1.0}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 1.0),
        (int, True),
        (int, 2**63),
        (float, float("nan")),
        (float, True),
        (str, b"x"),
        (bool, 1),
        (tuple[int, int], (1, 2, 3)),
        (tuple[int, ...], [1]),
        (Mapping[str, int], {1: 2}),
        (Word, Fixed(8)),
        (Array, [1.0]),
        (Array, np.array([True])),
        (Array, np.array(["x"])),
        (Array, np.array([np.inf])),
        (Array, np.zeros(2, np.float16)),
        (Array, np.zeros((1,) * 9)),
        (int | None, "x"),
        (complex, 1j),
        (object, 1),
    ],
)
def test_what_cannot_be_written(kind: Any, value: Any) -> None:
    with pytest.raises(GraphError):
        encode_value(kind, value, [])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (int, 1.0),
        (int | None, True),
        (int | float, "1"),
        (tuple[int, ...], "12"),
        (tuple[int, int], [1]),
        (Mapping[str, int], [1]),
        (Word | Fixed, {"Core": {}}),
        (Word | Fixed, {"target": 1, "weight": 1.0}),
        (Word | None, {"Word": {"target": 1, "weight": 1.0}}),
        (Array | Quantised, {"Quantised": {"array": 0}}),
        (Array, {"array": 0.0}),
        (object, 1),
        (bool, 0),
        (str, None),
    ],
)
def test_what_cannot_be_read(kind: Any, data: Any) -> None:
    with pytest.raises(GraphError):
        decode_value(kind, data, [np.zeros(1)])


# --- any graph ---


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    sizes = st.integers(1, 4)
    shape = draw(st.tuples(sizes, sizes, sizes))
    nodes: dict[str, Node] = {"in": Input(shape, draw(st.sampled_from(["spikes", "current"])))}
    edges: list[Edge] = []
    name = st.text("abc.é ", min_size=1, max_size=8)
    for kind in draw(
        st.lists(st.sampled_from(["linear", "sparse", "cells", "flat", "cut", "pool"]), max_size=6)
    ):
        source, source_shape = list(nodes)[-1], Graph(nodes, tuple(edges)).shapes[list(nodes)[-1]]
        made = draw_node(draw, kind, source_shape)
        label = draw(name.filter(lambda n: n not in nodes))
        nodes[label] = made
        edges.append(Edge(source, label, made.ports[0], draw(st.integers(0, 3))))
    return Graph(nodes, tuple(edges), draw(st.floats(1e-6, 1.0)))


def draw_node(draw: st.DrawFn, kind: str, shape: tuple[int, ...]) -> Node:
    values = st.floats(-8, 8, width=32)
    size, out = int(np.prod(shape)), draw(st.integers(1, 3))
    if kind == "linear":
        weight = np.array(draw(st.lists(values, min_size=size * out, max_size=size * out))).reshape(out, size)
        fixed = draw(st.sampled_from([None, Fixed(8, 3)]))
        stored = weight if fixed is None else Quantised(fixed.quantise(weight), fixed)
        return Linear(stored, exponent=draw(st.integers(-3, 3)))
    if kind == "sparse":
        return Sparse(
            np.arange(size + 1), np.zeros(size), [draw(values)], shape, (out,), delays=np.arange(size)
        )
    if kind == "cells":
        constant = Instruction("const", value=draw(st.one_of(values, st.integers(-9, 9))))
        code = (constant, Instruction("input", name="x"), Instruction("add", (0, 1)))
        return Population(
            draw(st.text("xyz", max_size=3)),
            Program(("x",), ("v",), ("p",), code, 2, (2,)),
            {"p": draw(values)},
            shape,
            draw(st.integers(0, 5)),
            {"v": draw(values)},
        )
    if kind == "cut":
        return Slice((0,) * len(shape), shape, (2,) * len(shape))
    return SumPool((1, 1), (1, 1)) if kind == "pool" and len(shape) == 3 else Flatten()


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_any_graph_survives(graph: Graph) -> None:
    again = through_text(graph)
    assert again.digest == graph.digest
    assert json.dumps(encoded(again)[0]) == json.dumps(encoded(graph)[0])


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.just({"array": 0}),
    st.just([1, 2]),
    st.just({"Flatten": {}}),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_is_refused_or_is_another_legal_graph(data: st.DataObject) -> None:
    graph = FUZZED
    manifest, arrays = encoded(graph)
    manifest = copy.deepcopy(manifest)
    spot, key = data.draw(st.sampled_from(list(spots(manifest))))
    spot[key] = data.draw(ODD)
    try:
        decoded = decode_record(Graph, manifest, arrays)
    except SpikeflowError:
        return
    assert through_text(decoded).digest == decoded.digest


def spots(value: Any) -> Any:
    """Every place in a JSON value: the container and the key."""
    for key in list(value if isinstance(value, dict) else range(len(value))):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from spots(value[key])


FUZZED = Graph(
    {
        "in": Input((2, 2), "current", Fixed(8, 7)),
        "w": Linear(Quantised(np.ones((3, 4)), Fixed(8))),
        "s": Sparse([0, 1, 1, 2], [0, 2], [0.5], (3,), (3,), delays=[1, 2]),
        "n": Population(
            "m",
            Program(
                ("in",),
                ("v",),
                ("p",),
                (
                    Instruction("input", name="in"),
                    Instruction("narrow", (0,), "v", 8, "wrap"),
                    Instruction("shift", (1,), value=-2, mode="zero"),
                ),
                2,
                (1,),
                {"t": (1, 2)},
            ),
            {"p": 1.0},
            (3,),
        ),
        "out": Output(),
    },
    (Edge("in", "w"), Edge("w", "s"), Edge("s", "n"), Edge("n", "out"), Edge("n", "n", "in", 2)),
)


def test_network_without_arrays_is_not_a_network() -> None:
    with pytest.raises(GraphError):
        decode_record(Network, {"graph": {}}, [])


@dataclass(frozen=True)
class Grown:
    """A class that gained fields after its first files were written."""

    steps: int
    names: tuple[str, ...] = field(default=(), metadata=ADDED)
    scale: float | None = field(default=None, metadata=ADDED)


def test_a_field_that_was_added_is_left_out_at_its_default() -> None:
    arrays: list[Any] = []
    assert encode_record(Grown(3), arrays) == {"steps": 3}
    assert decode_record(Grown, {"steps": 3}, ()) == Grown(3)
    full = Grown(3, ("a",), 0.5)
    assert decode_record(Grown, encode_record(full, arrays), ()) == full


@pytest.mark.parametrize("text", [{}, {"steps": 3, "more": 1}, {"steps": 3, "names": []}, {"names": ["a"]}])
def test_missing_unknown_and_superfluous_fields_are_refused(text: Any) -> None:
    with pytest.raises(GraphError):
        decode_record(Grown, text, ())
