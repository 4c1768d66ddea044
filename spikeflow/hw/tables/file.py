"""A mapping as one file, ``net.map.h5``; trusts nothing that it reads."""

from __future__ import annotations

import os

from spikeflow.errors import DataError, FileError, SpikeflowError
from spikeflow.hw.chips.chip import NAMES, load
from spikeflow.hw.cost import over_limits
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir import stages, store
from spikeflow.ir.codec import decode_record, encoded
from spikeflow.ir.record import Network
from spikeflow.ir.versions import needed

KIND = "mapping"


def write_mapping(path: str | os.PathLike[str], mapping: Mapping) -> None:
    """Write a mapping, whole or not at all.

    Raises
    ------
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    if not isinstance(mapping, Mapping):
        hint = "write_network for a network" if isinstance(mapping, Network) else "map_network(...)"
        raise DataError("the mapping", f"a {type(mapping).__name__}", "a Mapping", hint)
    store.write_whole(path, KIND, *encoded(mapping), needed(mapping))


def read_mapping(path: str | os.PathLike[str], limits: store.Limits | None = None) -> Mapping:
    """The mapping in a file; FileError for anything that is not a legal one.

    The tables must agree with each other, rebuild into a graph at stage fixed, and keep the limits of their
    chip where that is one of ours: a file cannot make us import somebody else's chip.
    """
    manifest, arrays = store.read(path, KIND, limits, Mapping)
    try:
        mapping = decode_record(Mapping, manifest, arrays)
        stages.check(mapping.as_graph(), "fixed")
        broken = over_limits(mapping, load(mapping.chip)) if mapping.chip in NAMES else ()
    except SpikeflowError as error:
        raise FileError(path, f"does not hold a legal mapping ({error})") from error
    if broken:
        raise FileError(path, f"does not keep the limits of {mapping.chip}: {broken[0]}")
    return mapping
