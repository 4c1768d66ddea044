"""Inputs of a run as the engine takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import Spikes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input
from spikeflow.sim.alphabets import EXACT
from spikeflow.sim.inputs import Constant, RunInput
from spikeflow.typing import Array

NO_STARTS, NO_RECORDS = np.zeros(0, np.int64), np.zeros(0, np.int32)


def largest_of(graph: Graph, named: Mapping[str, RunInput], fixed: bool) -> int:
    """The largest magnitude that enters where no format bounds it."""
    largest = 1
    for name, x in named.items():
        node = graph.nodes[name]
        values = x.value if isinstance(x, Spikes) else x.values
        if isinstance(node, Input) and node.format is None and values.size:
            most = np.abs(values).max()
            if fixed or node.kind == "spikes":  # a current reaches no sum of codes
                largest = max(largest, int(most if fixed else min(most, EXACT)))
    return largest


def feed_of(name: str, x: RunInput, steps: int, dtype: Any) -> tuple[str, Array, Array, Array, Array]:
    """An input as the engine takes it: kind, values, and for spikes where they are."""
    if isinstance(x, Spikes):
        starts = np.searchsorted(x.sample, np.arange(x.samples + 1)).astype(np.int64)
        return "spikes", _typed(name, x.value, dtype), starts, x.step, x.neuron
    kind = "constant" if isinstance(x, Constant) else "dense"
    values = x.values if isinstance(x, Constant) else x.values[:steps]
    return kind, np.ascontiguousarray(_typed(name, values, dtype)), NO_STARTS, NO_RECORDS, NO_RECORDS


def _typed(name: str, values: Array, dtype: Any) -> Array:
    whole = values.astype(dtype, copy=False)
    if values.dtype.kind == "f" and np.dtype(dtype).kind == "i" and (whole != values).any():
        raise DataError(name, "fractions", "integers at stage fixed")
    return whole
