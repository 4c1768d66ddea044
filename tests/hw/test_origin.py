"""Law: integers are taken by their own chip only, and a mapping is shown with its own network only."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeflow.errors import DataError, HardwareError, SpikeflowWarning, StageError
from spikeflow.hw import Mapping, load, map_network
from spikeflow.hw.chips.chip import NAMES, Chip, Fact
from spikeflow.hw.integer.quantise import quantise
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.retime import retime
from spikeflow.hw.tables.file import read_mapping, write_mapping
from spikeflow.hw.tables.origin import check_origin
from spikeflow.ir import file, stages
from spikeflow.ir.codec import encoded
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.integers import Integers
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import CubaLIF, Integrator
from spikeflow.report import ReportOptions, collect
from spikeflow.samples import Samples
from spikeflow.sim.classify import classify

GOLDEN = Path(__file__).parents[1] / "golden" / "hw"
ANSWERS = [
    -82944,
    -49856,
    100416,
    -100608,
    -39488,
    84736,
    -93504,
    -40960,
    97536,
    -96192,
    -27968,
    99328,
    -100672,
    -67520,
    108480,
    -87872,
    -40064,
    95488,
    -85056,
    -49856,
    81984,
    -85696,
    -55168,
    129216,
]
pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")


def net(seed: int, size: int = 8) -> Network:
    """Twelve inputs that spike, neurons that every chip has, three accumulators."""
    rng = np.random.default_rng(seed)
    nodes = {
        "x": Input((12,)),
        "w": Linear(rng.normal(0.2, 0.4, (size, 12)).astype(np.float32)),
        "cells": CubaLIF(0.0, 0.9, 1.0).node((size,)),
        "v": Linear(rng.normal(size=(3, size)).astype(np.float32)),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    edges = tuple(Edge(a, b) for a, b in itertools.pairwise(nodes))
    return Network(Graph(nodes, edges), RunRecord(12, "spikes", readout="readout", input_shape=(12,)))


def samples(seed: int, count: int = 8) -> np.ndarray:
    return (np.random.default_rng(seed).random((count, 12, 12)) < 0.4).astype(np.float32)


@pytest.fixture(scope="module")
def mappings() -> dict[str, Mapping]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: map_network(net(0), name, samples(0), accept_loss=True) for name in NAMES}


@pytest.mark.parametrize(("made", "other"), list(itertools.permutations(NAMES, 2)))
def test_integers_of_one_chip_are_refused_by_every_other(
    made: str, other: str, mappings: dict[str, Mapping], tmp_path: Path
) -> None:
    """As a network, as a bare graph, and read from a file of either kind."""
    network = mappings[made].as_network()
    file.write(tmp_path / "net.h5", network)
    write_mapping(tmp_path / "m.h5", mappings[made])
    again = file.read(tmp_path / "net.h5")
    for given in (network, network.graph, again, again.graph, read_mapping(tmp_path / "m.h5").as_graph()):
        with pytest.raises(HardwareError, match=made):
            map_network(given, other, samples(0))
    with pytest.raises(DataError, match=made):
        map_network(mappings[made], other, samples(0))  # type: ignore[arg-type]


def changed_tables() -> list[tuple[str, Chip, bool]]:
    """Tables called loihi2, and whether they compute as loihi2 does."""
    chip = load("loihi2")
    formats, arithmetic = chip.formats, chip.formats.arithmetic
    slow = replace(chip.delays, minimum=Fact(2, "test"))
    return [
        ("fewer neurons", replace(chip, neurons=Fact(100, "test")), True),
        ("another source", replace(chip, delays=replace(chip.delays, minimum=Fact(1, "other"))), True),
        ("delays", replace(chip, delays=slow), False),
        (
            "shift",
            replace(chip, formats=replace(formats, arithmetic=replace(arithmetic, state_shift=5))),
            False,
        ),
        ("bits", replace(chip, formats=replace(formats, weight_bits=Fact(4, "test"))), False),
        ("name", replace(chip, name="mine"), False),
    ]


@pytest.mark.parametrize(("what", "chip", "same"), changed_tables(), ids=[c[0] for c in changed_tables()])
def test_a_table_that_computes_otherwise_is_another_chip(what: str, chip: Chip, same: bool) -> None:
    made = Integers("loihi2", load("loihi2").semantics)
    assert (chip.name == made.chip and chip.semantics == made.semantics) == same


def test_integers_that_do_not_say_for_which_chip_are_told(mappings: dict[str, Mapping]) -> None:
    network = mappings["loihi2"].as_network()
    graph = replace(network.graph, integers=None)
    with pytest.warns(SpikeflowWarning, match="do not say for which chip"):
        mapping = map_network(replace(network, graph=graph), "loihi2", samples(0))
    assert mapping.origin == graph.digest


def test_a_float_graph_cannot_claim_to_be_integers() -> None:
    with pytest.raises(StageError, match="integers for loihi2"):
        stages.check(replace(net(0).graph, integers=Integers("loihi2")), "snn")


# --- a mapping and its network ---


def other_networks() -> dict[str, Network]:
    """Networks that a mapping of net(0) fits by every shape and name, and is not a mapping of."""
    first = net(0)
    cells = first.graph.nodes["cells"]
    assert not isinstance(cells, Input)
    params = {**cells.params, "threshold": np.float32(1.01)}  # type: ignore[union-attr]
    smallest = np.nextafter(first.graph.nodes["w"].weight, np.float32(9))  # type: ignore[union-attr]
    later = tuple(replace(e, delay=1) if e.dst == "v" else e for e in first.graph.edges)
    return {
        "retrained": net(1),
        "threshold": replace(first, graph=first.graph.with_nodes({"cells": replace(cells, params=params)})),
        "a last bit": replace(first, graph=first.graph.with_nodes({"w": Linear(smallest)})),
        "a delay": replace(first, graph=replace(first.graph, edges=later)),
        "another step": replace(first, graph=replace(first.graph, dt=2e-3)),
        "larger": net(0, 9),
        "coding": replace(first, record=replace(first.record, coding="rate")),
    }


@pytest.mark.parametrize("name", list(other_networks()))
@pytest.mark.parametrize("chip", NAMES)
def test_a_mapping_of_another_network_is_refused(name: str, chip: str, mappings: dict[str, Mapping]) -> None:
    other, x = other_networks()[name], samples(2)
    x = x[:, 0] if other.record.coding == "rate" else x
    with pytest.raises(DataError, match="the mapping"):
        collect(other, Samples(x), mappings[chip], options=ReportOptions("reference"))


@pytest.mark.parametrize("chip", NAMES)
def test_its_own_network_is_shown(chip: str, mappings: dict[str, Mapping], tmp_path: Path) -> None:
    """Other seeds, steps, notes and labels make no other network; nor does a mapping of the integers themselves."""
    mapping, network = mappings[chip], net(0)
    write_mapping(tmp_path / "m.h5", mapping)
    again = read_mapping(tmp_path / "m.h5")
    assert again.origin == mapping.origin == network.graph.digest == again.as_graph().integers.origin  # type: ignore[union-attr]
    record = replace(network.record, steps=5, seed=7, notes={"a": "b"}, labels=("p", "q", "r"))
    for same in (network, replace(network, record=record), again.as_network()):
        check_origin(same, again)
    facts = collect(
        network, Samples(samples(3)), again, options=ReportOptions("reference", date="2026-01-01")
    )
    assert facts.mapped is not None and facts.mapped.report.origin == facts.network.digest


def test_a_mapping_without_origin_is_told_of(mappings: dict[str, Mapping]) -> None:
    with pytest.warns(SpikeflowWarning, match="origin unknown"):
        check_origin(net(1), replace(mappings["loihi2"], origin=""))


def test_a_graph_without_integers_is_written_as_before() -> None:
    manifest, _ = encoded(net(0).graph)
    assert set(manifest) == {"dt", "nodes", "edges"}
    # of this graph at commit da0e0a5: the new field left every digest alone
    assert net(0).graph.digest == "04c2c40f8d2c2a96baed8a52a48b093cf4b412fbe0d5589c71b524b3c8c96862"


@pytest.mark.parametrize("chip", NAMES)
def test_what_quantise_gives_knows_its_chip(chip: str) -> None:
    """Also where nothing is mapped: the integers of `quantise` are refused by every other chip."""
    table = load(chip)
    graph = retime(adapt(compose(net(0).graph), table), table)
    fixed = quantise(replace(net(0), graph=graph), table, samples(0)).network
    assert fixed.graph.integers == Integers(chip, table.semantics, graph.digest)
    for other in set(NAMES) - {chip}:
        with pytest.raises(HardwareError, match=chip):
            map_network(fixed, other, samples(0))


@pytest.mark.parametrize("kind", ["map", "fixed"])
def test_files_of_the_first_version_open_and_answer_as_then(kind: str) -> None:
    """Written by commit da0e0a5 from net(0) and samples(0); the answers are those that it gave."""
    path = GOLDEN / f"da0e0a5.{kind}.h5"
    network = read_mapping(path).as_network() if kind == "map" else file.read(path)
    answers = classify(network, samples(0)).logits[-1].ravel().tolist()
    assert answers == ANSWERS
    made = network.graph.integers
    assert made == (Integers("loihi2") if kind == "map" else None)
    for other in ("loihi1", "spinnaker2") if made else ():
        with pytest.raises(HardwareError, match="loihi2"):
            map_network(network, other, samples(0))
