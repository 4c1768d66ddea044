"""NeuroML in HDF5: files of our own making, read as what they say, and everything else refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.errors import FileError, GraphError
from spikeflow.ir.nodes import Population, Sparse
from spikeflow.readers import read_neuroml
from spikeflow.sim import Probe, run

DT = 1e-4
CELL = {
    "cm": 0.25, "i_offset": 0.0, "tau_syn_E": 0.5, "tau_syn_I": 0.5, "v_init": -65.0, "tau_m": 10.0,
    "tau_refrac": 2.0, "v_reset": -65.0, "v_rest": -65.0, "v_thresh": -50.0,
}  # fmt: skip
COLUMNS = (
    "pre_cell_id", "post_cell_id", "pre_segment_id", "post_segment_id", "pre_fraction_along",
    "post_fraction_along", "weight", "delay",
)  # fmt: skip


def xml(more: str = "", **changed: object) -> str:
    cells = " ".join(f'{key}="{value}"' for key, value in {**CELL, **changed}.items())
    head = '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="n">'
    return f'{head}<IF_curr_exp id="cell" {cells}/><expCurrSynapse id="syn" tau_syn="0.5"/>{more}</neuroml>'


def rows(*synapses: tuple[float, ...]) -> np.ndarray:
    """Connections (pre, post, weight, delay) as a table has them."""
    return np.array([[pre, post, 0, 0, 0.5, 0.5, w, d] for pre, post, w, d in synapses], np.float32)


def written(path: Path, table: np.ndarray, text: str, change: Callable[[h5py.Group], Any] | None = None) -> Path:
    with h5py.File(path, "w") as file:
        file.create_group("neuroml").attrs["neuroml_top_level"] = np.bytes_(text.encode())
        network = file.create_group("neuroml/network")
        for name, size in (("A", 3), ("B", 4)):
            group = network.create_group(f"population_{name}")
            group.attrs["id"], group.attrs["component"] = np.bytes_(name.encode()), np.bytes_(b"cell")
            group.create_dataset(name, data=np.zeros((size, 3), np.float32))
        group = network.create_group("projection_P")
        facts = {"id": "P", "type": "projection", "presynapticPopulation": "A", "postsynapticPopulation": "B"}
        for key, value in {**facts, "synapse": "syn"}.items():
            group.attrs[key] = np.bytes_(value.encode())
        data = group.create_dataset("P", data=table, compression="gzip", chunks=True)
        for i, column in enumerate(COLUMNS):
            data.attrs[f"column_{i}"] = np.bytes_(column.encode())
        if change is not None:
            change(network)
    return path


def test_what_a_file_says_is_the_network(tmp_path: Path) -> None:
    table = rows((0, 1, 2.0, 1.5), (2, 3, -1.0, 0.83), (0, 1, 0.5, 0.01))
    graph = read_neuroml(written(tmp_path / "n.nml.h5", table, xml()), DT).graph()
    assert graph.shapes["A"] == (3,) and graph.shapes["B"] == (4,)
    node, cell = graph.nodes["B.in listed"], graph.nodes["B"]
    assert isinstance(node, Sparse) and isinstance(cell, Population)
    assert node.targets.tolist() == [1, 1, 3] and node.indptr.tolist() == [0, 2, 2, 3]
    # a step on the edge, one more as the membrane sees a spike at once; at least a step
    assert (node.delays + 1).tolist() == [16, 2, 9]
    gain = 10.0 * 0.5 / (0.25 * 9.5) * (np.exp(-0.01) - np.exp(-0.2)) * 1e-3  # volts of a nA
    np.testing.assert_allclose(np.asarray(node.weight), np.array([2.0, 0.5, -1.0]) * gain, rtol=1e-6)
    assert cell.params["threshold"].item() == pytest.approx(15e-3)


def test_a_membrane_moves_as_the_exact_solution_does(tmp_path: Path) -> None:
    """A spike through one synapse, against C dv/dt = -C v / tau + i with i decaying, solved in closed form."""
    table = rows((0, 1, 3.0, 1.0))
    text = xml(i_offset=0.0, v_init=-64.0)
    net = read_neuroml(written(tmp_path / "n.nml.h5", table, text), DT)
    net.inject("kick", "A", [0])
    kick = np.zeros((300, 1, 1), np.float32)
    kick[20] = 0.03
    found = run(net.graph(["A"]), {"kick": _dense(kick)}, 300, record=[Probe("B.v", [1])])
    spike = int(np.flatnonzero(found.output[:, 0, 0])[0])
    t = (np.arange(300) - spike - 10) * 0.1  # ms since the current began, on the membrane one step later
    arrived = np.where(t > 0, 10 * 0.5 / (0.25 * 9.5) * 3.0 * (np.exp(-t / 10) - np.exp(-t / 0.5)), 0.0)
    wanted = 1.0 * np.exp(-(np.arange(300) + 1) * 0.01) + arrived
    np.testing.assert_allclose(1e3 * found.recorded["B.v"][:, 0, 0], wanted, atol=2e-5)


def test_a_constant_current_lifts_the_membrane_to_where_it_should(tmp_path: Path) -> None:
    text = xml(i_offset=0.2, v_init=-65.0)
    graph = read_neuroml(written(tmp_path / "n.nml.h5", rows((0, 1, 0.0, 1.0)), text), DT).graph()
    v = 1e3 * run(graph, {}, 1000, record=["B.v"]).recorded["B.v"][:, 0, 0]
    wanted = 0.2 * 10 / 0.25 * (1 - np.exp(-(np.arange(1000) + 1) * 0.01))
    np.testing.assert_allclose(v, wanted, rtol=2e-4)


def _dense(values: np.ndarray) -> Any:
    from spikeflow.sim import Dense

    return Dense(values)


def _attr(name: str, key: str, value: str) -> Callable[[h5py.Group], None]:
    def change(network: h5py.Group) -> None:
        network[name].attrs[key] = np.bytes_(value.encode())

    return change


def _linked(network: h5py.Group) -> None:
    del network["projection_P/P"]
    network["projection_P/P"] = h5py.ExternalLink("other.h5", "/x")


@pytest.mark.parametrize(
    ("table", "text", "change", "reason"),
    [
        (rows((0, 1, 1.0, 1.0)), xml(), _attr("population_A", "component", "hh"), "A has the cell hh"),
        (rows((0, 1, 1.0, 1.0)), xml(), _attr("projection_P", "synapse", "nmda"), "the synapse nmda"),
        (rows((0, 1, 1.0, 1.0)), xml(), _attr("projection_P", "type", "electricalProjection"), "electricalProjection"),
        (rows((0, 1, 1.0, 1.0)), xml(), _attr("projection_P", "presynapticPopulation", "C"), "joins C"),
        (rows((0, 1, 1.0, 1.0)), xml(), lambda n: n.create_group("inputList_I"), "holds inputList_I"),
        (rows((0, 1, 1.0, 1.0)), xml(), _linked, "links out of the file"),
        (rows((0, 1, 1.0, 1.0)), xml(), _attr("projection_P/P", "column_7", "gain"), "no column delay"),
        (np.where(np.arange(8) == 2, 1, rows((0, 1, 1.0, 1.0))), xml(), None, "on segments of cells"),
        (rows((0.5, 1, 1.0, 1.0)), xml(), None, "name no cell"),
        (rows((0, 1, 1.0, 1.0)), xml(tau_syn_I=2.0), None, "currents that decay in 0.5 and 2 ms"),
        (rows((0, 1, 1.0, 1.0)), xml(tau_syn_E=2.0, tau_syn_I=2.0), None, "syn decays in"),
        (rows((0, 1, 1.0, 1.0)), xml(cm="much"), None, "'much' for cm"),
        (rows((0, 1, 1.0, 1.0)), xml(cm=0), None, "no cell that can be run"),
        (rows((0, 1, 1.0, 1.0)), xml(v_thresh=-70.0), None, "no cell that can be run"),
        (rows((0, 1, 1.0, 1.0)), "<neuroml>", None, "is no XML"),
        (rows((0, 1, 1.0, 1.0)), '<!DOCTYPE a [<!ENTITY b "c">]>' + xml(), None, "entities"),
    ],
)
def test_what_is_not_read_is_refused_by_name(
    table: np.ndarray, text: str, change: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match=reason):
        read_neuroml(written(tmp_path / "n.nml.h5", table, text, change), DT)


def test_neurons_and_delays_that_do_not_exist(tmp_path: Path) -> None:
    for wrong in ((3, 1, 1.0, 1.0), (0, 4, 1.0, 1.0), (-1, 0, 1.0, 1.0), (0, 0, np.nan, 1.0), (0, 0, 1.0, 1e9)):
        with pytest.raises(GraphError, match="A to B"):
            read_neuroml(written(tmp_path / "n.nml.h5", rows(wrong), xml()), DT)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "n.h5"
    with pytest.raises(FileError):
        read_neuroml(path, DT)
    path.write_bytes(b"nothing")
    with pytest.raises(FileError):
        read_neuroml(path, DT)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(FileError, match="lacks /neuroml/network"):
        read_neuroml(path, DT)


@pytest.mark.skipif("SPIKEFLOW_DATA" not in os.environ, reason="needs the folder of data")
def test_the_microcircuit_at_five_percent() -> None:
    folder = Path(os.environ["SPIKEFLOW_DATA"]) / "networks/potjans_diesmann_2014"
    net = read_neuroml(folder / "MicrocircuitNoInput_5pcnt.net.nml.h5", DT)
    graph = net.graph()
    cells = {n: x.shape[0] for n, x in graph.nodes.items() if isinstance(x, Population)}
    assert sum(cells.values()) == 3854 and cells["L4_E"] == 1095
    assert sum(x.stored for x in graph.nodes.values() if isinstance(x, Sparse)) == 149_257
