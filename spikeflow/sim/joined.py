"""Samples of a network of several inputs: one array, the inputs' values side by side, as every pass takes samples.

So samples are cut into batches, split and hashed as for one input; only where a run begins are they parted again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeflow.errors import DataError, FileError, SimulationError
from spikeflow.files import npz
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input
from spikeflow.ir.record import Network
from spikeflow.samples import FLOAT32, MAX_BYTES, Samples, samples_of

Array = npt.NDArray[Any]
CODINGS = ("direct", "spikes")


def taken(network: Network, given: object) -> Samples:
    """The samples of a network: whatever ``samples.samples_of`` takes, and for several inputs a mapping by their names.

    For several inputs `x` is ``(N, values)``, with coding `spikes` ``(N, T, values)``: all values of the first input in
    C order, then those of the next. An array of this form is taken as it is, and a `.npz` file that holds one array for
    each input, by its name, and where known y.

    Raises
    ------
    DataError
        Where inputs are missing, or of different numbers of samples or steps, or of wrong shapes.
    SimulationError
        Where several inputs would be coded as random spikes.
    """
    names = network.graph.inputs
    if isinstance(given, Mapping):
        return _joined(network, given)
    if len(names) > 1 and isinstance(given, str | os.PathLike) and str(given).endswith(".npz"):
        return _of_file(network, given)
    found = samples_of(given)
    if len(names) > 1 and found.x.shape[leading(network) :] != sample_shape(network):
        got = f"samples of one input, shape {found.x.shape}"
        raise DataError("data", got, f"a mapping with {', '.join(names)}", "{name: samples, ...}")
    return found


def _of_file(network: Network, path: str | os.PathLike[str]) -> Samples:
    names = network.graph.inputs
    arrays = npz.read(path, npz.Wanted((*names, "y"), MAX_BYTES, FLOAT32))
    if missing := [name for name in names if name not in arrays]:
        raise FileError(path, f"holds no array {missing[0]}", f"one array for each input: {', '.join(names)}")
    joined = _joined(network, {name: arrays[name] for name in names})
    return joined if "y" in names or "y" not in arrays else replace(joined, y=arrays["y"])


def _joined(network: Network, given: Mapping[Any, object]) -> Samples:
    graph, lead = network.graph, leading(network)
    if set(given) != set(graph.inputs):
        raise DataError("data", f"inputs {', '.join(map(str, given))}", ", ".join(graph.inputs))
    parts = {name: samples_of(given[name]) for name in graph.inputs}
    if len(parts) == 1:
        return parts[graph.inputs[0]]
    if network.record.coding not in CODINGS:
        raise SimulationError(
            "the network", f"codes several inputs as {network.record.coding}", " or ".join(CODINGS)
        )
    for name, part in parts.items():
        if part.x.ndim < lead or part.x.shape[lead:] != _shape(graph, name):
            before = "samples, steps" if lead == 2 else "samples"
            raise DataError(
                name, f"shape {part.x.shape}", f"({before}, {', '.join(map(str, _shape(graph, name)))})"
            )
    if len({part.x.shape[:lead] for part in parts.values()}) > 1:
        found = ", ".join(f"{name}: {part.x.shape[:lead]}" for name, part in parts.items())
        raise DataError("data", found, "as many samples, and steps, of every input")
    labels = [part.y for part in parts.values() if part.y is not None]
    told = tuple(dict.fromkeys(text for part in parts.values() for text in part.warnings))
    flat = [part.x.reshape(*part.x.shape[:lead], -1) for part in parts.values()]
    return Samples(np.concatenate(flat, axis=-1), labels[0] if labels else None, told)


def parted(graph: Graph, x: Array, lead: int) -> dict[str, Array]:
    """The values of each input, ``(N, *shape)`` or ``(N, T, *shape)``, of samples of one input or several."""
    if len(graph.inputs) == 1:
        return {graph.inputs[0]: x}
    found, first = {}, 0
    for name in graph.inputs:
        shape = _shape(graph, name)
        last = first + prod(shape)
        found[name] = x[..., first:last].reshape(*x.shape[:lead], *shape)
        first = last
    return found


def sample_shape(network: Network) -> tuple[int, ...]:
    """The shape of a sample without time; empty where it is not known."""
    graph = network.graph
    if len(graph.inputs) == 1:
        return network.record.input_shape
    return (sum(prod(_shape(graph, name)) for name in graph.inputs),)


def leading(network: Network) -> int:
    """Axes before the shape of an input: samples, and with coding `spikes` steps."""
    return 2 if network.record.coding == "spikes" else 1


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    node = graph.nodes[name]
    assert isinstance(node, Input)
    return node.shape
