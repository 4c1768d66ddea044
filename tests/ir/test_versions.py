"""Every file that commit da0e0a5 wrote opens and means what it meant; what is newer than this spikeflow is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.datasets.loading import entry
from spikeflow.errors import FileError
from spikeflow.events import Events, Spikes
from spikeflow.frozen import ADDED, added
from spikeflow.hw import Mapping
from spikeflow.ir import file, store
from spikeflow.ir.codec import encoded
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Flatten, Input, Output
from spikeflow.ir.record import Network, RunRecord
from spikeflow.ir.versions import known, needed, too_new, version_of
from spikeflow.sim import Dense, run
from spikeflow.version import __version__

GOLDEN = Path(__file__).parents[1] / "golden" / "da0e0a5"
DIGESTS: dict[str, str] = json.loads((GOLDEN / "digests.json").read_text())
KINDS = {  # of da0e0a5
    *("Input", "Output", "Linear", "Conv2d", "Sparse", "SumPool", "Flatten", "Slice", "Pad", "Concat"),
    *("Scale", "BatchNorm", "Activation", "Population"),
}
SMALL = Network(
    Graph({"x": Input((2,)), "f": Flatten(), "y": Output()}, (Edge("x", "f"), Edge("f", "y"))), RunRecord(4)
)


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_a_network_of_da0e0a5_opens_with_its_digest(name: str, tmp_path: Path) -> None:
    network = file.read(GOLDEN / f"{name}.h5")
    assert network.graph.digest == DIGESTS[name]
    file.write(tmp_path / "again.h5", network)
    again = file.read(tmp_path / "again.h5")
    assert again.graph.digest == DIGESTS[name] and again.record == network.record
    # nothing in it needs more than the first version
    assert set(needed(network).values()) == {1}


@pytest.mark.parametrize("engine", ["cpp", "reference"])
@pytest.mark.parametrize("name", sorted(set(DIGESTS) - {"ann"}))
def test_it_computes_what_it_did(name: str, engine: str) -> None:
    network = file.read(GOLDEN / f"{name}.h5")
    with np.load(GOLDEN / f"{name}.npz") as saved:
        values = {key: saved[key] for key in saved.files}
    inputs: Any = {key[2:]: Dense(a) for key, a in values.items() if key.startswith("x.")}
    outputs = run(network.graph, inputs, network.record.steps, engine=engine).outputs
    assert {f"y.{n}" for n in outputs} == {key for key in values if key.startswith("y.")}
    for node, found in outputs.items():
        assert found.dtype == values[f"y.{node}"].dtype
        assert found.tobytes() == values[f"y.{node}"].tobytes(), node


def test_the_files_hold_every_kind_of_that_time() -> None:
    held = {
        type(node).__name__
        for name in DIGESTS
        for node in file.read(GOLDEN / f"{name}.h5").graph.nodes.values()
    }
    assert held == KINDS


def test_cache_entries_of_da0e0a5_open() -> None:
    events, label = entry.from_bytes((GOLDEN / "events.entry").read_bytes())
    assert isinstance(events, Events) and label == 7
    assert (events.t.tolist(), events.p.tolist(), events.width, events.height) == ([1, 5], [0, 1], 8, 9)
    assert dict(events.dropped) == {"outside": 2}
    array, label = entry.from_bytes((GOLDEN / "array.entry").read_bytes())
    assert label == 3 and np.array_equal(array, np.arange(6, dtype=np.float32).reshape(2, 3))
    spikes, label = entry.from_bytes((GOLDEN / "spikes.entry").read_bytes())
    assert isinstance(spikes, Spikes) and (label, spikes.step.tolist(), spikes.shape) == (1, [0, 2], (4,))


# --- what is newer ---


def written(path: Path, versions: dict[str, int]) -> Path:
    store.write_whole(path, "network", *encoded(SMALL), versions)
    return path


def test_a_kind_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", {**needed(SMALL), "Attention": 1})
    with pytest.raises(FileError, match=rf"written by spikeflow {__version__} and holds a Attention, a kind"):
        file.read(path)


def test_a_newer_version_of_a_kind_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", {**needed(SMALL), "Flatten": 9})
    with pytest.raises(FileError, match="a Flatten of version 9; this spikeflow knows version 1"):
        file.read(path)


def test_a_kind_that_no_version_told_of_is_named_too(tmp_path: Path) -> None:
    manifest, arrays = encoded(SMALL)
    manifest["graph"]["nodes"][1][1] = {"Attention": {}}
    store.write_whole(tmp_path / "a.h5", "network", manifest, arrays)
    with pytest.raises(FileError, match="'Attention', a kind that this spikeflow does not know"):
        file.read(tmp_path / "a.h5")


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        {"spikeflow": "1"},
        {"spikeflow": 1, "versions": {}},
        {"spikeflow": "1", "versions": []},
        {"spikeflow": "1", "versions": {"Flatten": 0}},
        {"spikeflow": "1", "versions": {"Flatten": True}},
        {"spikeflow": "1", "versions": {"Flatten": 1.0}},
        {"spikeflow": "1", "versions": {"\x1b[2J": 1}},
        {"spikeflow": "\x1b[2J", "versions": {}},
        {"spikeflow": "1" * 100, "versions": {}},
    ],
)
def test_what_a_stranger_says_of_a_file_is_checked(said: Any, tmp_path: Path, monkeypatch: Any) -> None:
    made = store.json.dumps
    monkeypatch.setattr(
        store.json,
        "dumps",
        lambda value, **o: made(said if value.keys() == {"spikeflow", "versions"} else value, **o),
    )
    path = written(tmp_path / "a.h5", {})
    monkeypatch.undo()
    with pytest.raises(FileError, match="'about'"):
        file.read(path)


# --- the rule ---


def test_versions_follow_the_fields() -> None:
    @dataclass(frozen=True)
    class Thing:
        a: int
        b: int = field(default=0, metadata=ADDED)
        c: str = field(default="", metadata=added(3))

    assert version_of(Thing) == 3
    assert [needed(t)["Thing"] for t in (Thing(1), Thing(1, 2), Thing(1, 0, "x"), Thing(1, 2, "x"))] == [
        1,
        2,
        3,
        3,
    ]


def test_a_file_says_what_its_content_needs() -> None:
    assert needed(SMALL)["RunRecord"] == 1
    later = replace(SMALL, record=replace(SMALL.record, calibration=("0" * 64,)))
    assert needed(later)["RunRecord"] == 2
    assert too_new(needed(later), Network) == ""


@pytest.mark.parametrize("cls", [Network, Mapping])
def test_all_that_a_file_may_hold_is_known(cls: Any) -> None:
    """Fields without a default belong to version 1, and so to every file."""
    assert known(cls)[cls.__name__] == version_of(cls)
    assert too_new(dict(known(cls)), cls) == ""
    for f in fields(cls):
        if f.metadata.get("added"):
            assert f.metadata["added"] >= 2
