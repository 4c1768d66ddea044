"""The files of a SONATA circuit: its configuration, tables of types, parameters, and the arrays of a group.

All of them lie in the folder of the configuration; a file that leads out of it is refused.
"""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.errors import FileError, SpikeflowWarning, UnsafeFile
from spikeflow.files.hdf5_members import Members
from spikeflow.files.opened import PathLike, read_text
from spikeflow.typing import Array

Row = Mapping[str, str]
EMPTY = ("", "NULL", "None", "nan")
MOST_ROUNDS = 16  # of names in the manifest that stand for others


@dataclass(frozen=True)
class Circuit:
    """What a configuration names: pairs of an HDF5 file and its table of types; folders of parameters."""

    path: Path
    nodes: tuple[tuple[Path, Path | None], ...]
    edges: tuple[tuple[Path, Path | None], ...]
    models: Path | None
    synapses: Path | None


def read_circuit(path: PathLike) -> Circuit:
    """A ``circuit_config.json``.

    Raises
    ------
    FileError
        Where it is no such file.
    UnsafeFile
        Where it leads out of its folder.
    """
    said = read_json(Path(path))
    manifest = {
        str(k).lstrip("$").strip("{}"): str(v) for k, v in _mapping(said.get("manifest", {}), path).items()
    }
    networks = _mapping(said.get("networks"), path)
    components = _mapping(said.get("components", {}), path)
    models, synapses = (
        None if (said_of := components.get(f"{kind}_models_dir")) is None else str(said_of)
        for kind in ("point_neuron", "synaptic")
    )
    _tell_unread(path, said)
    place = _Place(Path(path), manifest)
    return Circuit(
        Path(path),
        tuple(place.pair(one, "nodes_file", "node_types_file") for one in _list(networks.get("nodes"), path)),
        tuple(
            place.pair(one, "edges_file", "edge_types_file") for one in _list(networks.get("edges", []), path)
        ),
        None if models is None else place.of(models),
        None if synapses is None else place.of(synapses),
    )


def _tell_unread(path: PathLike, said: Mapping[str, Any]) -> None:
    """Warn of what a configuration says of a run: only the circuit is read."""
    if left := [key for key in ("inputs", "run", "conditions", "reports") if said.get(key)]:
        text = f"{path}: its {', '.join(left)} are not read, only the circuit is"
        hint = "spikes for the Inputs of virtual nodes, and dt_s, as the file says them"
        warnings.warn(f"{text}. Try: {hint}", SpikeflowWarning, stacklevel=4)


class _Place:
    """Where the files are that a configuration names."""

    def __init__(self, path: Path, manifest: Mapping[str, str]) -> None:
        self.path, self.folder, self.manifest = path, path.resolve().parent, manifest

    def pair(self, said: Any, file: str, types: str) -> tuple[Path, Path | None]:
        """An HDF5 file and the table of its types, which it may do without."""
        one = _mapping(said, self.path)
        if not isinstance(one.get(file), str):
            raise FileError(self.path, f"names no {file}")
        table = one.get(types)
        return self.of(one[file]), None if table in (None, *EMPTY) else self.of(str(table))

    def of(self, name: str) -> Path:
        """A path in which names of the manifest may stand."""
        for _ in range(MOST_ROUNDS):
            named = re.sub(r"\$\{?(\w{1,64})\}?", self._meant, name)
            if named == name:
                break
            name = named[:4096]
        found = (self.folder / name).resolve()
        if self.folder != found and self.folder not in found.parents:
            raise UnsafeFile(self.path, f"leads out of its folder, to {name}", "its files in one folder")
        return found

    def _meant(self, match: re.Match[str]) -> str:
        if match[1] in ("configdir", "workingdir"):
            return "."
        if match[1] not in self.manifest:
            raise FileError(self.path, f"names {match[0]}, which its manifest does not explain")
        return self.manifest[match[1]]


def read_json(path: Path) -> Mapping[str, Any]:
    """A file of JSON that holds an object."""
    try:
        return _mapping(json.loads(read_text(path, 1 << 20)), path)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is no JSON ({type(error).__name__})") from None


def read_types(path: Path | None, key: str) -> dict[int, Row]:
    """A table of types, by their ids: columns parted by spaces; what says nothing is left out."""
    if path is None:
        return {}
    rows = csv.DictReader(read_text(path).splitlines(), delimiter=" ", skipinitialspace=True, strict=True)
    found: dict[int, Row] = {}
    try:
        for row in rows:
            said = {str(k): str(v) for k, v in row.items() if k is not None and v not in (None, *EMPTY)}
            found[int(said[key])] = said
    except (KeyError, ValueError, csv.Error) as error:
        raise FileError(path, f"is no table of types with a column {key} ({error})") from None
    return found


def numbers(
    path: object, what: str, said: Mapping[str, Any], names: Mapping[str, float | None]
) -> dict[str, float]:
    """The numbers of these names; what is not said has a value of its own, or is missing where that is
    None.
    """
    found: dict[str, float] = {}
    for name, usual in names.items():
        value = said.get(name, usual)
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            raise FileError(path, f"{what} says {value!r} for {name}", "a number") from None
        if not np.isfinite(found[name]):
            raise FileError(path, f"{what} says {value!r} for {name}", "a finite number")
    return found


def ids(group: Members, name: str, least: int = 0) -> Array:
    """Whole numbers, one for each node or edge."""
    found = group.array(name)
    if found.ndim != 1 or found.dtype.kind not in "iu" or (found.size and found.min() < least):
        raise FileError(group.path, f"{group.name}/{name} does not hold whole numbers from {least} on")
    return found.astype(np.int64)


def _mapping(said: Any, path: PathLike) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise FileError(
            path, "is no configuration of SONATA: it lacks an object of names", "circuit_config.json"
        )
    return said


def _list(said: Any, path: PathLike) -> list[Any]:
    if not isinstance(said, list):
        raise FileError(path, "is no configuration of SONATA: it lacks lists of nodes or edges")
    return said
