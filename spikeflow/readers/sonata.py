"""SONATA circuits of point neurons: nodes and edges in HDF5, their types in tables.

Read are ``nest:iaf_psc_exp`` (numbers in pF, ms, mV and pA), ``nrn:IntFire1`` and virtual nodes, with static
synapses. Other models, weight functions and parameters of single nodes are refused by name.

Source: K. Dai and others, PLoS Computational Biology 16(2), 2020, and the SONATA Developer Guide.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.files.hdf5_members import Members, members_of
from spikeflow.files.opened import PathLike
from spikeflow.neurons import LIF
from spikeflow.neurons.spiking import MOST_STEPS
from spikeflow.populations import Populations, Synapses
from spikeflow.readers.current_exponential import CurrentExponential
from spikeflow.readers.sonata_files import Circuit, Row, ids, numbers, read_circuit, read_json, read_types
from spikeflow.readers.whole_steps import whole_steps
from spikeflow.typing import Array

Read = Callable[[Members, Mapping[int, Row]], None]
HINT = "nest:iaf_psc_exp, nrn:IntFire1 or virtual nodes, and static synapses"
SYNAPSES = ("static_synapse", "nest:static_synapse")
UNSAID = 1e300  # stands for what a table does not say
HARMLESS = {"level_of_detail"}  # parameters of synapses that change no weight
_EXPONENTIAL: dict[str, float | None] = {
    "C_m": None, "tau_m": None, "tau_syn_ex": None, "tau_syn_in": None, "t_ref": None,
    "E_L": None, "V_reset": None, "V_th": None, "I_e": 0.0,
}  # fmt: skip
_INTFIRE: dict[str, float | None] = {"tau": 10.0, "refrac": 5.0}  # those of NEURON


@dataclass(frozen=True)
class _Part:
    """The nodes of one type: what the population is called, and what a unit of weight is there.

    `late` are steps by which a spike reaches the membrane later than it does here.
    """

    name: str
    unit: float
    late: int


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Of each node of a population: its part and its number there."""

    parts: tuple[_Part, ...]
    part: Array
    place: Array
    node_id: Array

    def at(self, path: PathLike, name: str, wanted: Array) -> Array:
        """Where nodes of these ids stand."""
        order = np.argsort(self.node_id, kind="stable")
        found = np.searchsorted(self.node_id[order], wanted)
        found = order[np.minimum(found, order.size - 1)] if order.size else found
        if not order.size or (self.node_id[found] != wanted).any():
            raise FileError(path, f"{name} joins nodes that do not exist")
        return found


def read_sonata(config: PathLike, dt_s: float, seed: int = 0) -> Populations:
    """A circuit of point neurons, to which drive and records can be added; virtual nodes are Inputs.

    A population is called as in the file, or ``NAME TYPE`` where its nodes are of several types. Delays and
    refractory periods are rounded to whole steps, which is told. A neuron of currents sees a spike in the
    step in which it arrives, in NEST one later, so its delays are one step longer than there; an IntFire1,
    which in NEURON integrates from event to event, does so from step to step.

    Parameters
    ----------
    config : the circuit's ``circuit_config.json``; all files lie in its folder.
    dt_s : seconds of a step.
    seed : of what is added by rule.

    Raises
    ------
    FileError
        For what is no such circuit, holds something that is not read, or contradicts itself; with its name.
    """
    circuit = read_circuit(config)
    return _Reader(circuit, dt_s, seed).read()


class _Reader:
    def __init__(self, circuit: Circuit, dt_s: float, seed: int) -> None:
        self.circuit, self.dt_s = circuit, dt_s
        self.made, self.nodes = Populations(dt_s, seed), dict[str, _Nodes]()

    def read(self) -> Populations:
        """All nodes, then all edges."""
        for path, table in self.circuit.nodes:
            self._each(path, "nodes", self._population, read_types(table, "node_type_id"))
        for path, table in self.circuit.edges:
            self._each(path, "edges", self._edges, read_types(table, "edge_type_id"))
        return self.made

    def _each(self, path: PathLike, what: str, read: Read, types: Mapping[int, Row]) -> None:
        """All populations of a file; what the HDF5 library dislikes in them is an error of the file."""
        with members_of(path) as root:
            if what not in root:
                raise FileError(path, f"is no file of {what}: it lacks /{what}")
            top = root.group(what)
            for name in top.names():
                read(top.group(name), types)

    def _population(self, group: Members, types: Mapping[int, Row]) -> None:
        name, kinds = group.name.rpartition("/")[2], ids(group, "node_type_id")
        if name in self.nodes or not kinds.size:
            raise FileError(group.path, f"{name} has no nodes, or stands there twice")
        for inner in group.names():
            if inner.isdecimal() and "dynamics_params" in group.group(inner):
                raise FileError(
                    group.path, f"{name} has parameters of single nodes, which are not read", HINT
                )
        node_id = ids(group, "node_id") if "node_id" in group else np.arange(kinds.size)
        if node_id.size != kinds.size or np.unique(node_id).size != node_id.size:
            raise FileError(group.path, f"{name} has node ids that are not one for each node")
        distinct, part = np.unique(kinds, return_inverse=True)
        place, parts = np.empty(kinds.size, np.int64), list[_Part]()
        for i, kind in enumerate(distinct.tolist()):
            chosen = part == i
            place[chosen] = np.arange(chosen.sum())
            called = name if len(distinct) == 1 else f"{name} {kind}"
            if kind not in types:
                raise FileError(group.path, f"{name} has nodes of type {kind}, which no table explains")
            parts.append(self._part(called, types[kind], int(chosen.sum())))
        self.nodes[name] = _Nodes(tuple(parts), part, place, node_id)

    def _part(self, name: str, said: Row, size: int) -> _Part:
        kind, model = said.get("model_type", ""), said.get("model_template", "")
        if kind == "virtual":
            self.made.enter(name, size)
            return _Part(name, 0.0, 0)
        if kind not in ("point_neuron", "point_process") or model not in ("nest:iaf_psc_exp", "nrn:IntFire1"):
            raise FileError(
                self.circuit.path, f"{name} is of the model {model or 'none'} ({kind or 'no type'})", HINT
            )
        params = self._params(name, said)
        if model == "nrn:IntFire1":
            self.made.add(name, self._intfire(name, params), size)
            return _Part(name, 1.0, 0)
        cell = _exponential(self.circuit.path, name, params)
        self.made.add(name, cell.neuron(self.dt_s), size, cell.states(self.dt_s))
        if cell.current:
            self.made.current(name, cell.constant(self.dt_s))
        return _Part(name, 1e-12 * cell.of_decaying(self.dt_s), 1)

    def _params(self, name: str, said: Row) -> Mapping[str, Any]:
        """Parameters in a file of their own, and in the table."""
        return {**self._read(name, said, self.circuit.models), **said}

    def _synapses(self, name: str, said: Row) -> None:
        """Raise FileError for parameters of synapses, such as a sign, which are not read."""
        held = self._read(name, said, self.circuit.synapses)
        if odd := sorted(held.keys() - HARMLESS):
            reason = f"{name} has parameters of its synapses, {', '.join(odd)}, which are not read"
            raise FileError(self.circuit.path, reason, "weights and delays alone, inhibition by its sign")

    def _read(self, name: str, said: Row, folder: Path | None) -> Mapping[str, Any]:
        """The parameters in a file of their own."""
        file = said.get("dynamics_params")
        if file is None:
            return {}
        folder = folder or self.circuit.path.parent
        if "/" in file or "\\" in file:
            raise FileError(
                self.circuit.path, f"{name} has its parameters in {file}", "a file of the models' folder"
            )
        return read_json(folder / file)

    def _intfire(self, name: str, params: Mapping[str, Any]) -> LIF:
        x = numbers(self.circuit.path, name, params, _INTFIRE)
        steps = int(whole_steps(f"{name}: refractory periods", x["refrac"] * 1e-3, self.dt_s))
        if x["tau"] <= 0 or not 0 <= steps <= MOST_STEPS:
            raise FileError(
                self.circuit.path, f"{name} has a time constant or a refractory period out of range"
            )
        above = float(np.nextafter(np.float32(1), np.float32(2)))  # it fires above 1, not at 1
        return LIF(float(np.exp(-self.dt_s / (x["tau"] * 1e-3))), above, "zero", refractory=steps)

    def _edges(self, group: Members, types: Mapping[int, Row]) -> None:
        name = group.name.rpartition("/")[2]
        source, target = (ids(group, f"{side}_node_id") for side in ("source", "target"))
        kinds = ids(group, "edge_type_id")
        if not source.size == target.size == kinds.size:
            raise FileError(group.path, f"{name} has columns of different lengths")
        ends = [self._end(group, name, f"{side}_node_id") for side in ("source", "target")]
        at = [end.at(group.path, name, given) for end, given in zip(ends, (source, target), strict=True)]
        for kind in np.unique(kinds).tolist():
            self._synapses(f"type {kind} of {name}", types.get(kind, {}))
        weight, delay = _values(group, name, kinds, types)
        exact = whole_steps(f"delays of {name}", delay * 1e-3, self.dt_s, 1)
        for i, pre in enumerate(ends[0].parts):
            for j, post in enumerate(ends[1].parts):
                chosen = np.flatnonzero((ends[0].part[at[0]] == i) & (ends[1].part[at[1]] == j))
                if not chosen.size:
                    continue
                if not post.unit:
                    raise FileError(group.path, f"{name} leads to the virtual nodes {post.name}")
                steps = exact[chosen] + post.late
                places = ends[0].place[at[0][chosen]], ends[1].place[at[1][chosen]]
                listed = Synapses(*places, weight[chosen] * post.unit, steps * self.dt_s)
                self.made.connect(pre.name, post.name, listed)

    def _end(self, group: Members, name: str, column: str) -> _Nodes:
        said = str(group.attributes(column).get("node_population", ""))
        if said not in self.nodes:
            raise FileError(group.path, f"{name} joins the population {said!r}, which no file of nodes has")
        return self.nodes[said]


def _values(group: Members, name: str, kinds: Array, types: Mapping[int, Row]) -> tuple[Array, Array]:
    """Weight and delay in ms of each edge: its own, or those of its type."""
    weight, delay = np.empty(kinds.size), np.empty(kinds.size)
    for kind in np.unique(kinds).tolist():
        said = types.get(kind, {})
        model, rule = said.get("model_template", SYNAPSES[0]), said.get("weight_function")
        if model not in SYNAPSES or rule is not None:
            raise FileError(group.path, f"{name} has edges of the model {rule or model}", HINT)
        usual = numbers(group.path, f"type {kind} of {name}", said, {"syn_weight": UNSAID, "delay": UNSAID})
        for what, to in (("syn_weight", weight), ("delay", delay)):
            to[kinds == kind] = np.nan if usual[what] == UNSAID else usual[what]
    number = ids(group, "edge_group_id") if "edge_group_id" in group else np.zeros_like(kinds)
    index = ids(group, "edge_group_index") if "edge_group_index" in group else np.arange(kinds.size)
    if not number.size == index.size == kinds.size:
        raise FileError(group.path, f"{name} has columns of different lengths")
    for one in np.unique(number).tolist():
        if str(one) not in group:
            continue
        inner, chosen = group.group(str(one)), number == one
        if "dynamics_params" in inner:
            raise FileError(group.path, f"{name} has parameters of single edges, which are not read", HINT)
        for column, to in (("syn_weight", weight), ("delay", delay)):
            if column in inner:
                to[chosen] = _own(inner, column, index[chosen])
        if "nsyns" in inner:
            weight[chosen] *= _own(inner, "nsyns", index[chosen])
    return _usual(name, "syn_weight", weight), _usual(name, "delay", delay)


def _usual(name: str, what: str, values: Array) -> Array:
    """1 where a file says nothing, as the simulators take it; which is told."""
    missing = int(np.isnan(values).sum())
    if missing:
        text = f"{name}: of {missing} of {values.size} edges the files say no {what}; 1 is taken"
        warnings.warn(text, SpikeflowWarning, stacklevel=4)
    return np.nan_to_num(values, nan=1.0)


def _own(group: Members, column: str, index: Array) -> Array:
    values = group.array(column).astype(np.float64)
    if values.ndim != 1 or (index.size and index.max() >= values.size) or not np.isfinite(values).all():
        raise FileError(
            group.path, f"{group.name}/{column} lacks values of its edges, or they are no numbers"
        )
    return values[index]


def _exponential(path: PathLike, name: str, params: Mapping[str, Any]) -> CurrentExponential:
    x = numbers(path, name, params, _EXPONENTIAL)
    if x["tau_syn_ex"] != x["tau_syn_in"]:
        raise FileError(path, f"{name} has currents of two time constants", "one time constant")
    initial = numbers(path, name, params, {"V_m": x["E_L"]})["V_m"]
    cell = CurrentExponential(
        name,
        x["C_m"] * 1e-12,
        x["tau_m"] * 1e-3,
        x["tau_syn_ex"] * 1e-3,
        x["t_ref"] * 1e-3,
        x["E_L"] * 1e-3,
        x["V_reset"] * 1e-3,
        x["V_th"] * 1e-3,
        initial * 1e-3,
        x["I_e"] * 1e-12,
    )
    try:
        cell.check()
    except DataError as error:
        raise FileError(path, f"holds no neuron that can be run ({error})") from None
    return cell
