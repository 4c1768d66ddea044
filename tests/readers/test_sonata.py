"""SONATA: circuits of our own making, read as what they say, and everything else refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spikeflow.errors import FileError, SpikeflowWarning, UnsafeFile
from spikeflow.events import Spikes
from spikeflow.ir.nodes import Input, Population, Sparse
from spikeflow.readers import read_sonata
from spikeflow.sim import run

DT = 1e-4
EXPONENTIAL = {
    "C_m": 250.0, "tau_m": 10.0, "tau_syn_ex": 0.5, "tau_syn_in": 0.5, "t_ref": 2.0,
    "E_L": -65.0, "V_reset": -65.0, "V_th": -50.0,
}  # fmt: skip
NODE_TYPES = """node_type_id model_type model_template dynamics_params pop_name
1 point_neuron nest:iaf_psc_exp exp.json "e cells"
2 point_process nrn:IntFire1 fire.json i
9 virtual NULL NULL input
"""
EDGE_TYPES = """edge_type_id model_template delay syn_weight
100 static_synapse 1.5 40.0
101 static_synapse 0.8 0.6
102 NULL 0.01 1.2
"""
Change = Callable[[Path], Any]


def circuit(folder: Path, change: Change | None = None) -> Path:
    """10 nodes of two types, whose ids are not their places, 5 virtual ones, and three kinds of edges."""
    folder.mkdir(exist_ok=True)
    (folder / "exp.json").write_text(json.dumps(EXPONENTIAL))
    (folder / "fire.json").write_text(json.dumps({"tau": 5.0, "refrac": 1.0}))
    (folder / "node_types.csv").write_text(NODE_TYPES)
    (folder / "edge_types.csv").write_text(EDGE_TYPES)
    with h5py.File(folder / "nodes.h5", "w") as file:
        cells = file.create_group("nodes/cells")
        cells["node_type_id"] = np.array([1, 1, 2, 1, 2, 2, 1, 1, 1, 2])
        cells["node_id"] = np.arange(10)[::-1]
        cells["0/x"] = np.zeros(10)
        file["nodes/input/node_type_id"] = np.full(5, 9)
    with h5py.File(folder / "edges.h5", "w") as file:
        edges(file, "cells_cells", ("cells", "cells"), [[9, 7, 3], [0, 8, 9], [101, 100, 101]])
        one = edges(file, "input_cells", ("input", "cells"), [[0, 4, 2, 2], [9, 7, 9, 5], [100, 102, 102, 102]])
        one["edge_group_id"], one["edge_group_index"] = np.array([0, 1, 0, 1]), np.array([1, 0, 0, 1])
        one["0/syn_weight"], one["0/delay"] = np.array([7.0, 90.0]), np.array([2.0, 3.0])
        one["1/nsyns"] = np.array([1, 4], np.uint8)
    config = {
        "manifest": {"$BASE": "${configdir}", "$NET": "$BASE/."},
        "components": {"point_neuron_models_dir": "$BASE"},
        "networks": {
            "nodes": [{"nodes_file": "$NET/nodes.h5", "node_types_file": "$NET/node_types.csv"}],
            "edges": [{"edges_file": "${NET}/edges.h5", "edge_types_file": "$NET/edge_types.csv"}],
        },
    }
    (folder / "circuit_config.json").write_text(json.dumps(config))
    if change is not None:
        change(folder)
    return folder / "circuit_config.json"


def edges(file: h5py.File, name: str, ends: tuple[str, str], columns: list[list[int]]) -> h5py.Group:
    group = file.create_group(f"edges/{name}")
    group["edge_type_id"] = np.array(columns[2])
    for side, population, values in zip(("source", "target"), ends, columns, strict=False):
        group[f"{side}_node_id"] = np.array(values, np.uint64)
        group[f"{side}_node_id"].attrs["node_population"] = population
    return group


def found(graph: Any, name: str) -> set[tuple[int, int, float, int]]:
    """Source among all of the node's, target, weight in the file's unit, delay in steps as it is run."""
    node = graph.nodes[name]
    assert isinstance(node, Sparse) and node.delays is not None
    gain = 10.0 * 0.5 / (250.0 * 9.5) * (np.exp(-0.01) - np.exp(-0.2)) * 1e-3 if "cells 1" in name else 1.0
    source = np.repeat(np.arange(len(node.indptr) - 1), np.diff(node.indptr.astype(int)))
    weight = np.round(np.asarray(node.weight, np.float64) / gain, 3)
    return set(zip(source.tolist(), node.targets.tolist(), weight.tolist(), (node.delays + 1).tolist(), strict=True))


def test_what_the_files_say_is_the_network(tmp_path: Path) -> None:
    graph = read_sonata(circuit(tmp_path / "c"), DT).graph()
    assert {n: graph.shapes[n] for n in ("cells 1", "cells 2", "input")} == {
        "cells 1": (6,), "cells 2": (4,), "input": (5,),
    }  # fmt: skip
    assert isinstance(graph.nodes["input"], Input) and isinstance(graph.nodes["cells 1"], Population)


def test_every_edge_is_where_its_ids_say(tmp_path: Path) -> None:
    """All edges again from the graph, named by node ids, against the tables."""
    graph = read_sonata(circuit(tmp_path / "c"), DT).graph()
    types = np.array([1, 1, 2, 1, 2, 2, 1, 1, 1, 2])
    ids = {f"cells {k}": (9 - np.flatnonzero(types == k)).tolist() for k in (1, 2)} | {"input": list(range(5))}
    listed = set()
    for post in ("cells 1", "cells 2"):
        parts = f"{post}.in listed sources"
        order = [graph.inputs_of(parts, port)[0].src for port in graph.nodes[parts].ports]
        sources = [(pre, one) for pre in order for one in ids[pre]]
        for source, target, weight, delay in found(graph, f"{post}.in listed"):
            listed.add((*sources[source], ids[post][target], weight, delay))
    assert listed == {
        ("cells 1", 9, 0, 0.6, 8),  # to an IntFire1: no step later
        ("cells 2", 7, 8, 40.0, 16),
        ("cells 1", 3, 9, 0.6, 9),
        ("input", 0, 9, 90.0, 31),
        ("input", 4, 7, 1.2, 1),
        ("input", 2, 9, 7.0, 21),
        ("input", 2, 5, 4.8, 1),
    }


def test_an_intfire_spikes_above_one(tmp_path: Path) -> None:
    """Weights 1.2 fire at once, and in the steps of the refractory period nothing arrives."""
    graph = read_sonata(circuit(tmp_path / "c"), DT).graph(["cells 2"])
    x = np.zeros((40, 1, 5), np.float32)
    x[[3, 8, 20], 0, 4] = 1
    out = run(graph, {"input": Spikes.from_dense(x)}, 40).output[:, 0]
    # node 7 is place 2, the first of type 2; a delay of one step, 10 steps of rest
    assert np.flatnonzero(out[:, 0]).tolist() == [4, 21] and out[:, 1:].sum() == out[:, 1].sum()


def _rewrite(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def _in(name: str, change: Callable[[h5py.File], Any]) -> Change:
    def changed(folder: Path) -> None:
        with h5py.File(folder / name, "a") as file:
            change(file)

    return changed


def _put(path: str, values: Any) -> Callable[[h5py.File], None]:
    def put(file: h5py.File) -> None:
        if path in file:
            del file[path]
        file[path] = values

    return put


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_rewrite("node_types.csv", "nest:iaf_psc_exp", "nest:iaf_psc_alpha"), "nest:iaf_psc_alpha"),
        (_rewrite("node_types.csv", "point_process nrn:IntFire1", "biophysical ctdb:Biophys1.hoc"), "biophysical"),
        (_rewrite("node_types.csv", "2 point_process", "7 point_process"), "nodes of type 2"),
        (_rewrite("node_types.csv", "node_type_id", "id"), "no table of types"),
        (_rewrite("edge_types.csv", "101 static_synapse", "101 stdp_synapse"), "stdp_synapse"),
        (_rewrite("exp.json", '"tau_syn_in": 0.5', '"tau_syn_in": 2.0'), "two time constants"),
        (_rewrite("exp.json", '"C_m": 250.0, ', ""), "None for C_m"),
        (_rewrite("exp.json", "{", "["), "is no JSON"),
        (_rewrite("fire.json", "5.0", "0.0"), "out of range"),
        (_rewrite("node_types.csv", "exp.json", "../exp.json"), "has its parameters in"),
        (_rewrite("circuit_config.json", "$NET/nodes.h5", "$OTHER/nodes.h5"), "names \\$OTHER"),
        (_rewrite("circuit_config.json", "networks", "nets"), "lacks an object of names"),
        (_in("nodes.h5", _put("nodes/cells/0/dynamics_params/C_m", np.ones(10))), "parameters of single nodes"),
        (_in("nodes.h5", _put("nodes/cells/node_id", np.zeros(10, int))), "node ids"),
        (_in("nodes.h5", _put("nodes/cells/node_type_id", np.zeros((2, 5), int))), "whole numbers"),
        (_in("edges.h5", _put("edges/input_cells/target_node_id", np.zeros(4, int))), "the population ''"),
        (_in("edges.h5", _put("edges/input_cells/edge_type_id", np.zeros(3, int))), "different lengths"),
        (_in("edges.h5", _put("edges/input_cells/1/nsyns", np.zeros(1))), "lacks values"),
        (_in("edges.h5", _put("edges/input_cells/1/dynamics_params/x", np.zeros(1))), "parameters of single edges"),
        (_in("edges.h5", lambda f: f["edges/cells_cells/source_node_id"].write_direct(np.full(3, 77, np.uint64))), "do not exist"),
    ],
)
def test_what_is_not_read_is_refused_by_name(change: Change, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=reason):
        read_sonata(circuit(tmp_path / "c", change), DT)


def test_a_configuration_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    for name in ("../nodes.h5", "/etc/passwd", "$BASE/../c2/nodes.h5"):
        with pytest.raises(UnsafeFile, match="leads out of its folder"):
            read_sonata(circuit(tmp_path / "c", _rewrite("circuit_config.json", "$NET/nodes.h5", name)), DT)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        read_sonata(tmp_path / "circuit_config.json", DT)
    for name in ("nodes.h5", "edges.h5", "node_types.csv", "exp.json"):
        config = circuit(tmp_path / "c")
        (config.parent / name).unlink()
        with pytest.raises(FileError):
            read_sonata(config, DT)
        (config.parent / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        with pytest.raises(FileError):
            read_sonata(config, DT)


def _json(name: str, said: dict[str, Any]) -> Change:
    return lambda folder: (folder / name).write_text(json.dumps(said))


def _both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def test_parameters_of_synapses_are_refused_and_harmless_ones_not(tmp_path: Path) -> None:
    """A sign in such a file was lost, and inhibition became excitation."""
    table = _rewrite("edge_types.csv", "delay syn_weight\n100 static_synapse 1.5 40.0", "delay syn_weight dynamics_params\n100 static_synapse 1.5 40.0 inh.json")
    with pytest.raises(FileError, match="type 100 of .* parameters of its synapses, sign, which are not read"):
        read_sonata(circuit(tmp_path / "c", _both(table, _json("inh.json", {"sign": -1, "level_of_detail": "instantaneous"}))), DT)
    read_sonata(circuit(tmp_path / "d", _both(table, _json("inh.json", {"level_of_detail": "instantaneous"}))), DT)
    with pytest.raises(FileError):
        read_sonata(circuit(tmp_path / "e", table), DT)


def test_what_files_do_not_say_and_what_is_not_read_is_told(tmp_path: Path) -> None:
    config = circuit(tmp_path / "c", _rewrite("edge_types.csv", "101 static_synapse 0.8 0.6\n", ""))
    with pytest.warns(SpikeflowWarning, match="cells_cells: of 2 of 3 edges the files say no syn_weight; 1 is taken"):
        read_sonata(config, DT)
    said = json.loads(config.read_text()) | {"inputs": {"a": {"input_file": "spikes.h5"}}, "run": {"dt": 0.1}}
    config.write_text(json.dumps(said))
    with pytest.warns(SpikeflowWarning, match="its inputs, run are not read, only the circuit is"):
        read_sonata(config, DT)


def test_times_between_steps_are_told(tmp_path: Path) -> None:
    with pytest.warns(SpikeflowWarning) as told:
        read_sonata(circuit(tmp_path / "c"), 1.5e-3)
    said = [str(one.message) for one in told]
    assert any("cells 1: refractory periods: 1 of 1 lie between steps of 0.0015 s" in text for text in said)
    assert any("delays of cells_cells: 2 of 3 lie between steps" in text for text in said)
