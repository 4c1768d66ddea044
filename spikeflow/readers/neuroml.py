"""NeuroML's networks in HDF5 (``.net.nml.h5``): populations, projections, connections with weights and
delays.

Read are populations of the cell ``IF_curr_exp`` and synapses ``expCurrSynapse``, as PyNN writes them (numbers
in nF, ms, mV and nA). Everything else, other cells, inputs, gap junctions, synapses on parts of a cell, is
refused by name.

Source: R. Cannon and others, Frontiers in Neuroinformatics 8:79, 2014; the layout is that of libNeuroML.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeflow.errors import DataError, FileError
from spikeflow.files.hdf5_members import Members, members_of
from spikeflow.files.opened import PathLike
from spikeflow.populations import Populations, Synapses
from spikeflow.readers.current_exponential import CurrentExponential
from spikeflow.readers.whole_steps import whole_steps

CELL, SYNAPSE = "IF_curr_exp", "expCurrSynapse"
_COLUMNS = {"pre_cell_id", "post_cell_id", "weight", "delay"}
_PARTS = {"pre_segment_id", "post_segment_id"}
_PLACES = {"pre_fraction_along", "post_fraction_along", "id"}  # of no meaning for a point
HINT = "a file whose cells are IF_curr_exp and whose synapses are expCurrSynapse"


def read_neuroml(path: PathLike, dt_s: float, seed: int = 0) -> Populations:
    """A network in NeuroML's HDF5, to which drive and records can be added.

    A spike reaches the membrane in the step in which it arrives, in other simulators one later, so delays are
    one step longer than in the file; they are rounded to whole steps, one at least, which is told.

    Parameters
    ----------
    dt_s : seconds of a step.
    seed : of what is added by rule.

    Raises
    ------
    FileError
        For what is no such file, holds something that is not read, or contradicts itself; with its name.
    """
    with members_of(path) as root:
        if "neuroml" not in root or "network" not in root.group("neuroml"):
            raise FileError(path, "is no network of NeuroML: it lacks /neuroml/network", "a .net.nml.h5 file")
        top = root.group("neuroml")
        return _Reader(top, dt_s, seed).read()


class _Reader:
    def __init__(self, top: Members, dt_s: float, seed: int) -> None:
        self.path, self.network, self.dt_s = top.path, top.group("network"), dt_s
        self.cells, self.synapses = _components(top)
        self.made, self.of = Populations(dt_s, seed), dict[str, CurrentExponential]()

    def read(self) -> Populations:
        """Populations first, whatever the order in the file."""
        names = self.network.names()
        for name in names:
            if not name.startswith(("population_", "projection_")):
                raise FileError(self.path, f"holds {name}, which is not read", HINT)
        for name in names:
            if name.startswith("population_"):
                self._population(self.network.group(name))
        for name in names:
            if name.startswith("projection_"):
                self._projection(self.network.group(name))
        return self.made

    def _population(self, group: Members) -> None:
        about = group.attributes()
        name, component = _text(about, "id", group), _text(about, "component", group)
        if component not in self.cells:
            raise FileError(self.path, f"{name} has the cell {component}, which is no {CELL}", HINT)
        size = len(group.array(name)) if name in group else int(about.get("size", 0))
        if size < 1:
            raise FileError(self.path, f"{name} has neither places of its cells nor a size")
        cell = _cell(self.path, component, self.cells[component])
        self.of[name] = cell
        self.made.add(name, cell.neuron(self.dt_s), size, cell.states(self.dt_s))
        if cell.current:
            self.made.current(name, cell.constant(self.dt_s))

    def _projection(self, group: Members) -> None:
        about = group.attributes()
        name, kind = _text(about, "id", group), str(about.get("type", "projection"))
        pre, post = (_text(about, f"{side}synapticPopulation", group) for side in ("pre", "post"))
        synapse = _text(about, "synapse", group)
        if kind != "projection" or synapse not in self.synapses:
            what = kind if kind != "projection" else f"the synapse {synapse}, which is no {SYNAPSE}"
            raise FileError(self.path, f"{name} has {what}", HINT)
        for one in (pre, post):
            if one not in self.of:
                raise FileError(self.path, f"{name} joins {one}, which is no population of the file")
        cell = self.of[post]
        tau_s = _number(self.path, synapse, self.synapses[synapse], "tau_syn") * 1e-3
        if tau_s != cell.tau_current_s:
            reason = f"{synapse} decays in {tau_s:g} s, the current of {post} in {cell.tau_current_s:g} s"
            raise FileError(self.path, reason, HINT)
        if name not in group:  # a projection without connections
            return
        column = _columns(group, name)
        weight = column["weight"] * 1e-9 * cell.of_decaying(self.dt_s)
        delay = (whole_steps(f"delays of {name}", column["delay"] * 1e-3, self.dt_s, 1) + 1) * self.dt_s
        source, target = (column[f"{side}_cell_id"].astype(np.int64) for side in ("pre", "post"))
        self.made.connect(pre, post, Synapses(source, target, weight, delay))


def _columns(group: Members, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a table of connections, by name."""
    table, about = group.array(name).astype(np.float64), group.attributes(name)
    if table.ndim != 2:
        raise FileError(group.path, f"{name} is no table of connections")
    named = {str(about.get(f"column_{i}", i)): table[:, i] for i in range(table.shape[1])}
    for missing in sorted(_COLUMNS - named.keys()):
        raise FileError(group.path, f"{name} has no column {missing}", "connections with weights and delays")
    for other in sorted(named.keys() - _COLUMNS - _PARTS - _PLACES):
        raise FileError(group.path, f"{name} has a column {other}, which is not read", HINT)
    for part in sorted(_PARTS & named.keys()):
        if named[part].any():
            raise FileError(group.path, f"{name} has synapses on segments of cells ({part})", "point neurons")
    for ids in ("pre_cell_id", "post_cell_id"):
        if not (np.isfinite(named[ids]) & (named[ids] == np.rint(named[ids]))).all():
            raise FileError(group.path, f"{name}: {ids} holds numbers that name no cell")
        if table.dtype == np.float64 and (np.abs(named[ids]) > 2**24).any():
            raise FileError(group.path, f"{name}: {ids} goes beyond what float32 names")
    return named


def _components(top: Members) -> tuple[dict[str, Mapping[str, str]], dict[str, Mapping[str, str]]]:
    """The cells and synapses that are read, by id, of the XML that stands in an attribute."""
    text = top.attributes().get("neuroml_top_level")
    if not isinstance(text, str):
        raise FileError(top.path, "does not say what its cells are (neuroml_top_level)", HINT)
    if "<!" in text.replace("<!--", ""):  # entities can be nested without end
        raise FileError(top.path, "its XML declares types or entities, which are not read")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise FileError(top.path, f"its description is no XML ({error})") from None
    found: dict[str, dict[str, Mapping[str, str]]] = {CELL: {}, SYNAPSE: {}}
    for element in root:
        kind = element.tag.rpartition("}")[2]
        if kind in found and "id" in element.attrib:
            found[kind][element.attrib["id"]] = dict(element.attrib)
    return found[CELL], found[SYNAPSE]


def _cell(path: PathLike, name: str, said: Mapping[str, str]) -> CurrentExponential:
    x = {key: _number(path, name, said, key) for key in _UNITS}
    if x["tau_syn_E"] != x["tau_syn_I"]:
        reason = f"{name} has currents that decay in {x['tau_syn_E']:g} and {x['tau_syn_I']:g} ms"
        raise FileError(path, reason, "cells of one time constant")
    v = {key: x[key] * 1e-3 for key in ("v_rest", "v_reset", "v_thresh", "v_init")}
    cell = CurrentExponential(
        name,
        x["cm"] * 1e-9,
        x["tau_m"] * 1e-3,
        x["tau_syn_E"] * 1e-3,
        x["tau_refrac"] * 1e-3,
        v["v_rest"],
        v["v_reset"],
        v["v_thresh"],
        v["v_init"],
        x["i_offset"] * 1e-9,
    )
    try:
        cell.check()
    except DataError as error:
        raise FileError(path, f"holds no cell that can be run ({error})") from None
    return cell


_UNITS = (
    "cm",
    "tau_m",
    "tau_syn_E",
    "tau_syn_I",
    "tau_refrac",
    "v_rest",
    "v_reset",
    "v_thresh",
    "v_init",
    "i_offset",
)


def _number(path: PathLike, name: str, said: Mapping[str, str], key: str) -> float:
    try:
        found = float(said[key])
    except (KeyError, ValueError):
        raise FileError(path, f"{name} says {said.get(key)!r} for {key}", "a number") from None
    if not np.isfinite(found):
        raise FileError(path, f"{name} says {found} for {key}", "a finite number")
    return found


def _text(about: Mapping[str, Any], key: str, group: Members) -> str:
    found = about.get(key)
    if not isinstance(found, str) or not found:
        raise FileError(group.path, f"{group.name} does not say its {key}")
    return found
