"""Text for people: golden files, totals, and no way to forge a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Output, Population
from spikeflow.ir.program import Program
from spikeflow.ir.record import Network, RunRecord
from spikeflow.ir.show import connections, show, show_network, show_program, stored_synapses

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", ["ann", "snn", "fixed"])
def test_golden_graphs(name: str, golden: Golden, request: pytest.FixtureRequest) -> None:
    golden(f"{name}.txt", show(request.getfixturevalue(name)))


def test_golden_network(network: Network, golden: Golden) -> None:
    golden("network.txt", show_network(network))


@pytest.mark.parametrize("name", ["lif", "integer_lif"])
def test_golden_programs(name: str, golden: Golden, request: pytest.FixtureRequest) -> None:
    golden(f"{name}.txt", show_program(request.getfixturevalue(name)))


def test_run_record_of_spikes(snn: Graph) -> None:
    text = show_network(Network(snn, RunRecord(4, "rate", 255.0, 3, labels=tuple(map(str, range(12))))))
    assert text.startswith("run 4 steps, coding rate, scale 255, seed 3\n  12 labels: 0, 1, ")
    assert ", 9, ...\n" in text


def test_a_name_cannot_forge_a_line(snn: Graph) -> None:
    hidden = snn.nodes["hidden"]
    assert isinstance(hidden, Population)
    forged = snn.with_nodes({"hidden": replace(hidden, model="lif\nfc  10  Linear")})
    notes = {"source": "x\nread out at nowhere"}
    assert show(forged).count("\n") == show(snn).count("\n")
    assert "\n  source: x read out" in show_network(Network(snn, RunRecord(4, notes=notes)))


def test_equal_graphs_show_equal_text(snn: Graph) -> None:
    assert show(Graph(dict(snn.nodes), list(snn.edges))) == show(snn)


def test_a_graph_without_nodes() -> None:
    assert show(Graph({}, ())).splitlines()[1:] == ["0 neurons, 0 synapses stored, 0 connections"]


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.tuples(*[st.integers(1, 3)] * 6),
    st.tuples(*[st.integers(0, 3)] * 4),
)
def test_connections_of_a_convolution_are_counted_one_by_one(
    height: int, width: int, sizes: tuple[int, ...], padding: tuple[int, ...]
) -> None:
    ky, kx, sy, sx, dy, dx = sizes
    top, bottom, left, right = padding
    if height + top + bottom < dy * (ky - 1) + 1 or width + left + right < dx * (kx - 1) + 1:
        return
    node = Conv2d(
        np.ones((4, 2, ky, kx)),
        stride=(sy, sx),
        padding=((top, bottom), (left, right)),
        dilation=(dy, dx),
        groups=2,
    )
    graph = Graph(
        {"in": Input((4, height, width)), "conv": node, "out": Output()},
        (Edge("in", "conv"), Edge("conv", "out")),
    )
    _, rows, columns = graph.shapes["conv"]
    inside = sum(
        0 <= y * sy - top + i * dy < height and 0 <= x * sx - left + j * dx < width
        for y in range(rows)
        for x in range(columns)
        for i in range(ky)
        for j in range(kx)
    )
    assert connections(graph, "conv") == 4 * 2 * inside and stored_synapses(node) == 8 * ky * kx


def test_synapses_of_other_kinds(snn: Graph) -> None:
    assert {n: connections(snn, n) for n in ("fc", "loop", "pool", "hidden")} == {
        "fc": 72,
        "loop": 3,
        "pool": 0,
        "hidden": 0,
    }


def test_every_register_is_shown(integer_lif: Program) -> None:
    lines = show_program(integer_lif).splitlines()
    assert [line.split()[0] for line in lines[: len(integer_lif.code)]] == [
        f"r{i}" for i in range(len(integer_lif.code))
    ]
