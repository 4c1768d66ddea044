"""Whole numbers are held in the narrowest type and written in one width; scopes say what a number is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir import file
from spikeflow.ir.arrays import Codes, narrowest
from spikeflow.ir.codec import encoded
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Output, Sparse
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF
from spikeflow.sim import engine, reference
from spikeflow.sim.inputs import Dense


def net(node: Sparse) -> Graph:
    cells = LIF().node(node.out_shape)
    nodes: dict[str, Any] = {
        "in": Input(node.in_shape, "current"),
        "s": node,
        "n": cells,
        "out": Output(),
        "sums": Output(),
    }
    return Graph(nodes, (Edge("in", "s"), Edge("s", "n"), Edge("n", "out"), Edge("s", "sums")))


@pytest.mark.parametrize(
    ("high", "dtype"),
    [(0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "i4"), (2**31 - 1, "i4"), (2**31, "i8")],
)
def test_the_narrowest_type_that_fits(high: int, dtype: str) -> None:
    for given in (np.int64, np.float64, np.uint64):
        array = narrowest(np.asarray([0, high], given), np.int64)
        assert array.dtype == dtype and array.tolist() == [0, high] and not array.flags.writeable
    assert (
        narrowest([-1, 127]).dtype == "i1"
        and narrowest([-1, 128]).dtype == "i2"
        and narrowest([]).dtype == "u1"
    )


def test_what_is_no_whole_number_of_the_widest_type_is_refused() -> None:
    for values in ([0.5], [np.nan], [2.0**40], [-(2**33)]):
        with pytest.raises(GraphError):
            narrowest(values)


def listed(rng: np.random.Generator, sources: int, targets: int, dtype: Any, longest: int) -> Sparse:
    counts = rng.integers(0, 6, sources)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Sparse(
        indptr.astype(dtype),
        rng.integers(0, targets, indptr[-1]).astype(dtype),
        rng.normal(0, 1, indptr[-1]),
        (sources,),
        (targets,),
        delays=rng.integers(0, longest + 1, indptr[-1]).astype(dtype),
    )


@pytest.mark.parametrize(("targets", "longest"), [(7, 3), (300, 300), (70000, 3)])
def test_width_changes_neither_digest_nor_text_nor_result(targets: int, longest: int, tmp_path: Path) -> None:
    graphs = [
        net(listed(np.random.default_rng(1), 90, targets, dtype, longest)) for dtype in ("i4", "i8", "f8")
    ]
    assert len({graph.digest for graph in graphs}) == 1
    arrays = encoded(graphs[0])[1]
    assert [a.dtype.str for a in arrays[:2]] == ["<i8", "<i4"]
    node = graphs[0].nodes["s"]
    assert isinstance(node, Sparse) and node.targets.dtype.itemsize == (
        1 if targets < 256 else 2 if targets < 65536 else 4
    )
    file.write(tmp_path / "n.h5", Network(graphs[0], RunRecord(4, "direct")))
    again = file.read(tmp_path / "n.h5").graph
    assert again.digest == graphs[0].digest
    back = again.nodes["s"]
    assert isinstance(back, Sparse) and back.targets.dtype == node.targets.dtype


def test_narrow_arrays_run_as_wide_ones() -> None:
    """The wide form is written out here: one dense matrix for each delay, summed in the normative order."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        sources, targets, longest = (
            int(rng.integers(1, 300)),
            int(rng.integers(1, 400)),
            int(rng.integers(0, 9)),
        )
        node = listed(rng, sources, targets, "i8", longest)
        x = rng.normal(0, 1, (12, 2, sources)).astype(np.float32) * (rng.random((12, 2, sources)) < 0.3)
        graph = net(node)
        fast = engine.simulate(graph, Dense(x), 12).outputs["sums"]
        slow = reference.simulate(graph, Dense(x), 12).outputs["sums"]
        wide = np.zeros((12, 2, targets), np.float32)
        source = np.repeat(np.arange(sources), np.diff(node.indptr.astype(int)))
        rows = list(
            zip(source, node.targets.tolist(), np.asarray(node.weight), node.delays.tolist(), strict=True)
        )  # type: ignore[union-attr]
        for i, j, w, d in sorted(rows, key=lambda row: -row[3]):
            wide[d:, :, j] += x[: 12 - d, :, i] * w if d else x[:, :, i] * w
        assert np.array_equal(fast, slow) and np.array_equal(slow, wide)


def with_scopes(weight_scope: str, delay_scope: str, count: int) -> Sparse:
    """Three sources; as many synapses as told, each source's to all targets in turn."""
    rng = np.random.default_rng(3)
    length = {"one": 1, "source": 3, "synapse": count, "": count}
    return Sparse(
        [0, 1, 2, count],
        np.arange(count) % 4,
        rng.normal(0, 1, length[weight_scope]),
        (3,),
        (4,),
        delays=rng.integers(0, 4, length[delay_scope]),
        weight_scope=weight_scope,
        delay_scope=delay_scope,
    )


@pytest.mark.parametrize("weight", ["one", "source", "synapse"])
@pytest.mark.parametrize("delay", ["one", "source", "synapse"])
@pytest.mark.parametrize("count", [3, 5])
def test_a_scope_means_what_it_says(weight: str, delay: str, count: int, tmp_path: Path) -> None:
    node = with_scopes(weight, delay, count)
    written = Sparse(
        node.indptr,
        node.targets,
        node.stored_weights,
        (3,),
        (4,),
        delays=node.each_delay(),
        delay_scope="synapse",
    )
    x = Dense(np.random.default_rng(4).normal(0, 1, (9, 2, 3)).astype(np.float32))
    graph = net(node)
    expected = reference.simulate(net(written), x, 9).outputs["sums"]
    assert node.scopes == (weight, delay) and written.scopes == ("synapse", "synapse")
    assert np.array_equal(reference.simulate(graph, x, 9).outputs["sums"], expected)
    assert np.array_equal(engine.simulate(graph, x, 9).outputs["sums"], expected)
    file.write(tmp_path / "n.h5", Network(graph, RunRecord(4, "direct")))
    back = file.read(tmp_path / "n.h5").graph
    assert back.digest == graph.digest and back.nodes["s"].scopes == (weight, delay)  # type: ignore[union-attr]


def test_a_scope_that_the_length_says_is_not_written() -> None:
    """So a graph of the first version keeps its digest when its scopes are told."""
    old = Sparse([0, 1, 2, 5], [0, 1, 2, 3, 0], np.ones(5), (3,), (4,), delays=[0, 1, 2])
    told = Sparse(
        old.indptr,
        old.targets,
        old.weight,
        (3,),
        (4,),
        delays=[0, 1, 2],
        weight_scope="synapse",
        delay_scope="source",
    )
    other = Sparse([0, 1, 2, 3], [0, 1, 2], np.ones(3), (3,), (4,), delays=[0, 1, 2], delay_scope="synapse")
    assert net(old).digest == net(told).digest and old.scopes == ("synapse", "source")
    assert other.scopes == ("synapse", "synapse") and other.delay_scope == "synapse"


@pytest.mark.parametrize(
    "changed", [{"weight_scope": "source"}, {"delay_scope": "one"}, {"weight_scope": "target"}]
)
def test_a_scope_that_does_not_fit_is_refused(changed: dict[str, str]) -> None:
    node = Sparse([0, 1, 2, 5], [0, 1, 2, 3, 0], np.ones(5), (3,), (4,), delays=[0, 1, 2], **changed)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="1 for all, 3 for each source, 5 for each synapse"):
        node.check("s")


def test_codes_are_bytes_where_they_fit_and_say_what_they_stand_for() -> None:
    codes = Codes([-128, 127], 0.1)
    assert codes.values.dtype == np.int8 and codes.scale == float(np.float32(0.1))
    assert Codes([128], 1).values.dtype == np.int16
    assert codes.floats.tolist() == [float(np.float32(c) * np.float32(0.1)) for c in (-128, 127)]
    for bad in (0.0, -1.0, np.inf, np.nan, 1e35):
        with pytest.raises(GraphError, match="scale"):
            Codes([1], bad).check("n")
    with pytest.raises(GraphError):
        Codes([40000], 1)
