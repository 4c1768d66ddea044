"""Lowered networks on disk: the synapses as the engine holds them, mapped into memory by a later start.

Kept are the rows of all nodes whose synapses name their targets, listed or by rule. All else (neurons, drive,
biases, edges) comes from the graph, so a network with other rates or currents but the same synapses runs
from the same file. The rows of each node carry the digest of the synapses that they were made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import spikeflow.sim._engine as _engine
from spikeflow.errors import FileError, SimulationError
from spikeflow.files.mapped import HINT, Bytes, open_mapped, write_mapped
from spikeflow.files.opened import PathLike
from spikeflow.ir.codec import encoded
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Procedural, Sparse
from spikeflow.ir.outputs import expanded
from spikeflow.sim import coded
from spikeflow.sim.bundles import bundles
from spikeflow.sim.kept_rows import KeptRows
from spikeflow.sim.sharing import shares_of
from spikeflow.version import __version__

KIND, VERSION = "lowered", 1
_TYPES = {name: name for name in ("float32", "int8", "int16", "int32")}  # of weights


@dataclass(frozen=True, eq=False)
class Kept:
    """What a file holds: rows by node, and for how many threads they were cut."""

    path: PathLike
    shares: int
    rows: Mapping[str, KeptRows]

    def shares_for(self, graph: Graph, threads: int) -> int:
        """For how many threads the rows were cut, which is for so many, or for any where that is 0.

        Raises
        ------
        FileError
            Where it is for others.
        """
        asked = shares_of(graph, threads or self.shares)
        if asked != self.shares:
            reason = f"was kept for {self.shares} threads, and {threads or asked} are asked for"
            raise FileError(self.path, reason, f"threads={self.shares}, or keep it for {asked}")
        return self.shares


def keepable(graph: Graph) -> dict[str, Sparse | Procedural]:
    """The nodes whose rows are kept."""
    return {n: x for n, x in graph.nodes.items() if isinstance(x, Sparse | Procedural) and x.plastic is None}


def expect_keepable(graph: Graph) -> None:
    """Raise SimulationError where no node has rows."""
    if not keepable(graph):
        reason = "has no synapses that name their targets (Sparse, Procedural), so nothing is kept of it"
        raise SimulationError("network", reason, "the network's own file, which is read as fast")


def write(path: PathLike, graph: Graph, network: Any, index: Mapping[str, int]) -> None:
    """Keep the rows of a network that the engine made of this graph.

    Raises
    ------
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    rows, arrays = [], list[Bytes]()
    for name, key in keys(graph).items():
        weight, numbers, parts = network.kept(index[name])
        rows.append([name, key, weight, numbers, len(parts)])
        arrays += parts
    about = {
        "spikeflow": __version__,
        "layout": _engine.rows_layout(),
        "threads": network.shares,
        "rows": rows,
    }
    write_mapped(path, KIND, VERSION, about, arrays)


def read(path: PathLike, graph: Graph) -> Kept:
    """The rows that were kept of a graph with these synapses.

    Raises
    ------
    FileError
        Where it is no such file or damaged, was written by an engine that lays rows out in another way, or
        was kept of other synapses.
    """
    expect_keepable(graph)
    about, arrays = open_mapped(path, KIND, VERSION)
    try:
        layout, shares, said = about["layout"], about["threads"], about["rows"]
        if layout != (here := _engine.rows_layout()):
            raise FileError(path, f"holds {layout!r}; this engine has {here!r}", HINT)
        if type(shares) is not int or not 1 <= shares <= 1024:
            raise ValueError(shares)
        found = {name: (key, weight, numbers, n) for name, key, weight, numbers, n in said}
        _check_same(path, keys(graph), {name: key for name, (key, *_) in found.items()})
        if not all(map(_is_number, (x for *_, numbers, n in found.values() for x in (n, *numbers)))):
            raise ValueError("numbers")
        if sum(n for *_, n in found.values()) != len(arrays):
            raise ValueError("arrays")
        parts = iter(arrays)
        rows = {
            name: KeptRows(_TYPES[weight], numbers, [next(parts) for _ in range(n)])
            for name, (_, weight, numbers, n) in found.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        reason = f"does not describe rows as spikeflow does ({type(error).__name__})"
        raise FileError(path, reason, HINT) from error
    return Kept(path, shares, rows)


def _is_number(x: object) -> bool:
    """As the engine counts."""
    return type(x) is int and 0 <= x < 2**31


def keys(graph: Graph) -> dict[str, str]:
    """Of each node whose rows are kept what they are made from; of nodes that the engine bundles, which have
    one set of rows, what all are made from.
    """
    graph = expanded(graph)
    found = {name: key_of(node) for name, node in keepable(graph).items()}
    for bundle in bundles(graph, coded.exact(graph)):
        whole = hashlib.sha256()
        for name, sources in bundle.numbers.items():
            whole.update(f"{len(name)} {name} {found[name]} {sources.size}\n".encode())
            whole.update(sources.tobytes())
        found |= dict.fromkeys(bundle.numbers, whole.hexdigest())
    return found


def key_of(node: Sparse | Procedural) -> str:
    """SHA-256 of what the rows of a node are made from."""
    manifest, arrays = encoded(replace(node, bias=None))
    found = hashlib.sha256(json.dumps([type(node).__name__, manifest]).encode())
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _check_same(path: PathLike, wanted: Mapping[str, str], kept: Mapping[str, Any]) -> None:
    for name in sorted(wanted.keys() ^ kept.keys()):
        reason = "holds no synapses of" if name in wanted else "holds synapses of"
        raise FileError(path, f"was kept of another network: it {reason} {name}", HINT)
    for name, key in wanted.items():
        if kept[name] != key:
            raise FileError(path, f"was kept of another network: the synapses of {name} differ", HINT)
