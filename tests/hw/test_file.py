"""Mapping files: the same network again, or the documented error; never half a file, never somebody else's code."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import FileError
from spikeflow.hw.chips.chip import load
from spikeflow.hw.tables.file import KIND, read_mapping, write_mapping
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir import store
from tests.hw.fixed_nets import drawn, inputs_for, local, mapped, outputs, tiny_chip


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return mapped(drawn(2), tiny_chip())


@pytest.fixture
def path(mapping: Mapping, tmp_path: Path) -> Path:
    write_mapping(tmp_path / "net.map.h5", mapping)
    return tmp_path / "net.map.h5"


def test_round_trip_computes_the_same(mapping: Mapping, path: Path) -> None:
    again = read_mapping(path)
    assert again.as_graph().digest == mapping.as_graph().digest
    assert again.record == mapping.record and again.layout == mapping.layout and again.chip == "tiny"
    graph = drawn(2)
    x = inputs_for(graph, 2)
    before, after = outputs(graph, x), outputs(again.as_graph(), x)
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_truncated(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FileError):
        read_mapping(path)


def test_flipped_bits(path: Path) -> None:
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole), 25):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(at % 8)
        path.write_bytes(damaged)
        with pytest.raises(FileError):
            read_mapping(path)


def test_not_a_mapping(tmp_path: Path) -> None:
    store.write_whole(tmp_path / "a.h5", "network", {}, [])
    with pytest.raises(FileError, match="holds a network, not a mapping"):
        read_mapping(tmp_path / "a.h5")
    with pytest.raises(FileError):
        read_mapping(tmp_path / "missing.h5")


def _shorter_route(manifest: Any, arrays: list[Any]) -> None:
    for name in ("neuron", "core", "axon"):
        at = manifest["cores"][0]["routes"][name]["array"]
        arrays[at] = arrays[at][:-1]


def _far_core(manifest: Any, arrays: list[Any]) -> None:
    at = manifest["inputs"][0]["routes"]["core"]["array"]
    arrays[at] = arrays[at] + 1000


def _float_weights(manifest: Any, arrays: list[Any]) -> None:
    at = manifest["cores"][0]["axons"]["weight"]["array"]
    arrays[at] = arrays[at].astype(np.float32)


def _big_weights(manifest: Any, arrays: list[Any]) -> None:
    at = manifest["cores"][0]["axons"]["weight"]["array"]
    arrays[at] = arrays[at].astype(np.int32) + 2**20


def _negative_pointer(manifest: Any, arrays: list[Any]) -> None:
    at = manifest["cores"][0]["axons"]["indptr"]["array"]
    arrays[at] = arrays[at] - 1


def _no_steps(manifest: Any, arrays: list[Any]) -> None:
    manifest["record"]["steps"] = 0


def _huge_input(manifest: Any, arrays: list[Any]) -> None:
    manifest["inputs"][0]["shape"] = [2**30, 2**30, 2**30]


def _unknown_operation(manifest: Any, arrays: list[Any]) -> None:
    manifest["kinds"][0]["program"]["code"][0]["op"] = "system"


def _extra_field(manifest: Any, arrays: list[Any]) -> None:
    manifest["run"] = "this"


def _huge_mesh(manifest: Any, arrays: list[Any]) -> None:
    manifest["layout"]["chips"] = 2**40


def _unknown_kind(manifest: Any, arrays: list[Any]) -> None:
    manifest["cores"][0]["slices"][0]["kind"] = -1


def _cycle_without_delay(manifest: Any, arrays: list[Any]) -> None:
    for edge in manifest["projections"]:
        edge["delay"] = -1


def _no_cores(manifest: Any, arrays: list[Any]) -> None:
    manifest["cores"] = []


@pytest.mark.parametrize(
    "change",
    [
        _shorter_route,
        _far_core,
        _float_weights,
        _big_weights,
        _negative_pointer,
        _no_steps,
        _huge_input,
        _unknown_operation,
        _extra_field,
        _huge_mesh,
        _unknown_kind,
        _cycle_without_delay,
        _no_cores,
    ],
)
def test_hostile(path: Path, change: Callable[[Any, list[Any]], None]) -> None:
    manifest, arrays = store.read(path, KIND)
    manifest, arrays = deepcopy(manifest), list(arrays)
    change(manifest, arrays)
    store.write_whole(path, KIND, manifest, arrays)
    with pytest.raises(FileError, match="legal mapping"):
        read_mapping(path)


def test_limits_of_a_known_chip_are_checked(tmp_path: Path) -> None:
    mapping = mapped(local(layers=1, channels=4, side=20), tiny_chip(neurons=1600, axons_in=2000, bits=10**8))
    grid = load("loihi1").grid
    layout = replace(
        mapping.layout,
        columns=int(grid.columns.value),
        rows=int(grid.rows.value),
        cores_per_tile=int(grid.cores_per_tile.value),
    )
    write_mapping(tmp_path / "a.h5", replace(mapping, chip="loihi1", layout=layout))
    with pytest.raises(FileError, match="limits of loihi1.*1600 neurons"):
        read_mapping(tmp_path / "a.h5")


def test_a_file_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("raise SystemExit('run')\n")
    write_mapping(tmp_path / "a.h5", replace(mapped(drawn(1), tiny_chip()), chip="lab.chip"))
    assert read_mapping(tmp_path / "a.h5").chip == "lab.chip"


def test_nothing_is_left_where_writing_fails(mapping: Mapping, tmp_path: Path) -> None:
    with pytest.raises(FileError):
        write_mapping(tmp_path / "no" / "a.h5", mapping)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError):
        write_mapping(tmp_path / "folder", mapping)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder"]
