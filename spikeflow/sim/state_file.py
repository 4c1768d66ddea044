"""A state as a file of ours: which arrays there are, and the arrays.

Floats are stored as their bits, so that a state that holds an infinity or a NaN is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from spikeflow.errors import FileError, SpikeflowError
from spikeflow.files.write import PathLike
from spikeflow.ir import store
from spikeflow.ir.codec import MAX_TEXT
from spikeflow.typing import Array

KIND = "state"
VERSION = 1
_FIELDS = {"version", "graph", "dtype", "arrays"}
_BITS = {"float32": np.dtype("<u4"), "int64": np.dtype("<i8")}


class Parts(Protocol):
    """What is written of a `State`."""

    @property
    def graph(self) -> str: ...

    @property
    def steps(self) -> Array: ...

    @property
    def sample(self) -> Array: ...

    @property
    def memory(self) -> Mapping[str, Mapping[str, Array]]: ...

    @property
    def emitted(self) -> Mapping[str, Array]: ...

    @property
    def arrived(self) -> Mapping[str, Array]: ...


def encoded(state: Parts) -> tuple[Any, list[Array]]:
    """The manifest, and the arrays in the order in which it names them."""
    named = {("steps",): state.steps, ("sample",): state.sample}
    named |= {("memory", n, s): a for n, held in state.memory.items() for s, a in held.items()}
    named |= {("emitted", n): a for n, a in state.emitted.items()}
    named |= {("arrived", n): a for n, a in state.arrived.items()}
    rest = [a for name, a in named.items() if name[0] not in ("steps", "sample")]
    dtype = str(rest[0].dtype) if rest else "float32"
    manifest = {"version": VERSION, "graph": state.graph, "dtype": dtype, "arrays": [list(n) for n in named]}
    return manifest, [a.view("<u4") if a.dtype == np.float32 else a for a in named.values()]


def read(path: PathLike, limits: store.Limits | None = None) -> tuple[tuple[Any, ...], Any, list[Array]]:
    """What a `State` is made of; and what a `Checkpoint` added to the manifest, None without one, and its
    arrays.

    Raises
    ------
    FileError
        For any other file.
    """
    manifest, arrays = store.read(path, KIND, limits)
    try:
        answers = manifest.pop("answers", None) if isinstance(manifest, dict) else None
        named = [] if answers is None else [*answers["added"], *answers.get("behind", [])]
        own = len(arrays) - len(named)
        return _decoded(manifest, arrays[:own]), answers, arrays[own:]
    except (SpikeflowError, TypeError, ValueError, LookupError) as error:
        raise FileError(path, f"does not hold a state as spikeflow writes it ({error})") from error


def _decoded(manifest: Any, arrays: list[Array]) -> tuple[Any, ...]:
    if not isinstance(manifest, dict) or manifest.keys() != _FIELDS:
        raise ValueError("its fields")
    if manifest["version"] != VERSION:
        raise ValueError(f"version {manifest['version']!r}; this spikeflow reads version {VERSION}")
    names = [tuple(name) for name in manifest["arrays"]]
    if len(names) != len(arrays) or len(set(names)) != len(names) or names[:2] != [("steps",), ("sample",)]:
        raise ValueError("its list of arrays")
    if not isinstance(manifest["graph"], str) or not all(is_name(part) for name in names for part in name):
        raise ValueError("its names")
    bits = _BITS[manifest["dtype"]]
    if any(a.dtype != bits for a in arrays[2:]):
        raise ValueError("its types")
    memory: dict[str, dict[str, Array]] = {}
    past: dict[str, dict[str, Array]] = {"emitted": {}, "arrived": {}}
    for (part, *name), array in zip(names[2:], arrays[2:], strict=True):
        values = array.view(manifest["dtype"])
        if part == "memory":
            node, state = name
            memory.setdefault(node, {})[state] = values
        else:
            (node,) = name
            past[part][node] = values
    return manifest["graph"], arrays[0], arrays[1], memory, past["emitted"], past["arrived"]


def is_name(text: object) -> bool:
    """Whether a name may stand in such a file: it will be shown to people."""
    return isinstance(text, str) and 0 < len(text) <= MAX_TEXT and text.isprintable()
