"""net.h5: round trips, records that must fit, and files that are not whole or not honest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, FileError, ModelError, SpikeflowError, StageError
from spikeflow.ir import file, store
from spikeflow.ir.codec import encode_record
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Input, Linear
from spikeflow.ir.record import CODINGS, Network, RunRecord
from spikeflow.ir.store import Limits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.h5"


def test_round_trip(path: Path, network: Network) -> None:
    file.write(path, network)
    again = file.read(path)
    assert again.graph.digest == network.graph.digest and again.record == network.record
    assert store.kind_of(path) == "network"
    first = path.read_bytes()
    file.write(path, again)
    assert path.read_bytes() == first


@pytest.mark.parametrize("name", ["ann", "fixed"])
def test_other_stages(name: str, path: Path, request: pytest.FixtureRequest) -> None:
    graph: Graph = request.getfixturevalue(name)
    file.write(path, Network(graph, RunRecord(8)))
    assert file.read(path).graph.digest == graph.digest


def test_limits_are_passed_on(path: Path, network: Network) -> None:
    file.write(path, network)
    with pytest.raises(FileError, match="limit"):
        file.read(path, Limits(file_bytes=1000))


# --- records ---


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0},
        {"steps": -1},
        {"steps": 2**20 + 1},
        {"coding": "latency"},
        {"scale": 0.0},
        {"scale": float("inf")},
        {"scale": float("nan")},
        {"seed": -1},
        {"seed": 2**63},
        {"input_shape": (2, 0)},
    ],
)
def test_records_that_cannot_be_run(values: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        RunRecord(**{"steps": 4, **values})


def test_notes_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        RunRecord(4, notes={"a": "b"}).notes["a"] = "c"  # type: ignore[index]


@pytest.mark.parametrize(
    "changes",
    [
        {"readout": "missing"},
        {"readout": "fc"},
        {"readout": "hidden"},
        {"labels": ("a",)},
        {"input_shape": (4, 4)},
        {"coding": "rate"},
        {"coding": "onoff"},
        {"coding": "onoff", "input_shape": (1, 4, 4)},
    ],
)
def test_records_that_do_not_fit_the_graph(changes: dict[str, Any], network: Network, path: Path) -> None:
    with pytest.raises(ModelError):
        file.write(path, Network(network.graph, replace(network.record, **changes)))
    assert not path.exists()


@pytest.mark.parametrize(
    ("coding", "kind", "shape"),
    [
        ("direct", "current", (2, 4, 4)),
        ("rate", "spikes", (2, 4, 4)),
        ("onoff", "spikes", (1, 4, 4)),
        ("spikes", "spikes", (2, 4, 4)),
        ("spikes", "current", (2, 4, 4)),
        ("rate", "spikes", ()),
    ],
)
def test_codings_that_fit(
    coding: str, kind: str, shape: tuple[int, ...], network: Network, path: Path
) -> None:
    assert coding in CODINGS
    graph = network.graph.with_nodes({"image": Input((2, 4, 4), kind)})
    file.write(path, Network(graph, replace(network.record, coding=coding, input_shape=shape)))
    assert file.read(path).record.coding == coding


def test_one_input_shape_cannot_describe_two_inputs(network: Network, path: Path) -> None:
    nodes = {**network.graph.nodes, "other": Input((3,), "current")}
    graph = Graph(nodes, network.graph.edges)
    with pytest.raises(ModelError, match="2 inputs"):
        file.write(path, Network(graph, network.record))
    file.write(path, Network(graph, replace(network.record, input_shape=())))


def test_an_illegal_stage_is_not_written(network: Network, path: Path) -> None:
    graph = network.graph.with_nodes({"flat": Activation()})
    assert isinstance(graph.nodes["fc"], Linear)
    with pytest.raises((StageError, ModelError)):
        file.write(path, Network(graph, network.record))
    assert os.listdir(path.parent) == []


# --- files from strangers ---

FORGED: dict[str, Callable[[Any], Any]] = {
    "no record": lambda m: m.pop("record"),
    "steps 0": lambda m: m["record"].update(steps=0),
    "steps true": lambda m: m["record"].update(steps=True),
    "steps 2**62": lambda m: m["record"].update(steps=2**62),
    "coding": lambda m: m["record"].update(coding="exec"),
    "scale as text": lambda m: m["record"].update(scale="1"),
    "notes as list": lambda m: m["record"].update(notes=[]),
    "notes of numbers": lambda m: m["record"].update(notes={"a": 1}),
    "labels as text": lambda m: m["record"].update(labels="abc"),
    "read-out": lambda m: m["record"].update(readout="fc"),
    "read-out with escapes": lambda m: m["record"].update(readout="\x1b]0;x\x07"),
    "input shape": lambda m: m["record"].update(input_shape=[2, 4, 5]),
    "a list": lambda m: m["graph"].update(nodes=[]),
    "exponent at stage snn": lambda m: dict(m["graph"]["nodes"])["fc"]["Linear"].update(exponent=3),
    "no start": lambda m: dict(m["graph"]["nodes"])["hidden"]["Population"].pop("start"),
    "huge start": lambda m: dict(m["graph"]["nodes"])["hidden"]["Population"].update(start=2**80),
    "loop without delay": lambda m: [e.update(delay=0) for e in m["graph"]["edges"]],
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_networks_are_file_errors(what: str, network: Network, path: Path) -> None:
    arrays: list[Any] = []
    manifest = json.loads(json.dumps(encode_record(network, arrays)))
    FORGED[what](manifest)
    store.write_whole(path, "network", manifest, arrays)
    with pytest.raises(FileError, match="does not hold a legal network"):
        file.read(path)


def test_forged_arrays_are_file_errors(network: Network, path: Path) -> None:
    arrays: list[Any] = []
    manifest = encode_record(network, arrays)
    for changed in (
        arrays[:-1],
        [*arrays, arrays[0]],
        [a.astype(np.float64) for a in arrays],
        [a.T for a in arrays],
        [a * np.nan if a.dtype.kind == "f" else a for a in arrays],
    ):
        store.write_whole(path, "network", manifest, changed)
        with pytest.raises(FileError, match="does not hold a legal network"):
            file.read(path)


def test_a_mapping_is_not_a_network(path: Path) -> None:
    store.write_whole(path, "mapping", {}, [])
    with pytest.raises(FileError, match="holds a mapping, not a network"):
        file.read(path)


DAMAGE = """
import random, sys
from pathlib import Path
from spikeflow.errors import FileError
from spikeflow.ir import file, store
path, digest, sealed = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "sealed"
whole, draw, seen = path.read_bytes(), random.Random(7), {"refused": 0, "equal": 0, "other": 0}
for i in range(250):
    changed = bytearray(whole)
    if i % 5 == 0:
        del changed[draw.randrange(len(changed)):]
    for _ in range(draw.choice([1, 1, 3])):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    # sealed: a forger who makes the header fit his damage
    image = bytes(changed[512:])
    path.write_bytes(store.header("network", image) + image if sealed else changed)
    try:
        read = file.read(path).graph.digest
    except FileError:
        seen["refused"] += 1
    else:
        seen["equal" if read == digest else "other"] += 1
print(seen["refused"], seen["equal"], seen["other"])
"""


@pytest.mark.parametrize("sealed", ["damaged", "sealed"])
def test_damage_ends_in_an_error_or_the_same_network(
    sealed: str, network: Network, path: Path, in_subprocess: Callable[..., str]
) -> None:
    file.write(path, network)
    refused, equal, other = map(int, in_subprocess(DAMAGE, path, network.graph.digest, sealed).split())
    assert refused + equal + other == 250
    if sealed == "damaged":
        assert other == 0 and equal == 0


def test_errors_have_one_root() -> None:
    assert issubclass(FileError, SpikeflowError) and issubclass(FileError, OSError)
