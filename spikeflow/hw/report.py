"""MappingReport: what a mapping uses, sends and costs, as text and JSON, every constant with its source."""

from __future__ import annotations

from collections import abc
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.activity import Activity, activity_of, expected_activity, measured_on
from spikeflow.hw.chips.chip import NAMES, Chip, load
from spikeflow.hw.cost import CoreUse, Estimate, Term, estimates, limits_of, use_of
from spikeflow.hw.integer.loss import Loss
from spikeflow.hw.layout.place import CHIP_BORDER
from spikeflow.hw.layout.route import Routes, routes_of
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.origin import UNKNOWN
from spikeflow.sim.result import Counts

_NAMES = {
    "neurons": "neurons",
    "axons_in": "input axons",
    "axons_out": "output axons",
    "memory_bits": "memory (bits)",
    "delay": "delay (steps)",
}
_MESH_NOTES = (
    "Routes are unions of XY paths, each message once over each link (assumed of every chip).",
    "The host injects at tile (0, 0) of chip 0, and placement counts a border between chips as "
    f"{CHIP_BORDER} hops (assumed).",
)


@dataclass(frozen=True)
class CoreReport:
    """One core: its place, the populations on it, what it uses, and what happens on it in one step."""

    chip: int
    x: int
    y: int
    slot: int
    holds: abc.Mapping[str, int]
    use: CoreUse
    operations: float
    updates: float
    spikes: float
    received: float


@dataclass(frozen=True)
class TrafficReport:
    """Messages a step on the mesh, by multicast XY routes.

    Parameters
    ----------
    hops : links crossed, all messages together; `between_chips` of them lead to another chip.
    busiest, busiest_between_chips : messages on the busiest link of either kind.
    longest : hops of the longest route.
    measured : on what messages were counted, in words; a run does not change it.
    """

    messages: float
    hops: float
    between_chips: float
    busiest: float
    busiest_between_chips: float
    longest: int
    routes: int
    measured: str


@dataclass(frozen=True)
class MappingReport:
    """The facts of a mapping.

    Parameters
    ----------
    limits : of one core, by the names of `CoreUse`.
    measured : where spikes, operations and idle neurons come from, in words.
    steps : of one sample as it is run, `level` of them until the last read-out wakes; energy and time of a
        sample are those of a step times this.
    origin : digest of the network that was mapped; empty where the file does not say.
    assumed : every value of the chip's table that nothing published says, with the reason.
    loss : what the integers lost against the float network; None where that is not known.
    early : whether samples may stop early; the figures of a sample are those of one that does not.
    """

    chip: str
    title: str
    chips: int
    cores_available: int
    neurons: int
    synapses: int
    steps: int
    level: int
    origin: str
    limits: abc.Mapping[str, int]
    cores: tuple[CoreReport, ...]
    traffic: TrafficReport
    measured: str
    estimates: tuple[Estimate, ...]
    assumed: tuple[tuple[str, float, str], ...]
    notes: tuple[str, ...]
    loss: Loss | None = None
    early: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        found = asdict(replace(self, loss=None))
        found["loss"] = None if self.loss is None else self.loss.to_json()
        for estimate, plain in zip(self.estimates, found["estimates"], strict=True):
            plain["nanojoule_a_sample"] = _scaled(estimate.picojoule, self.steps * 1e-3)
            plain["microsecond_a_sample"] = _scaled(estimate.nanosecond, self.steps * 1e-3)
        return found

    def to_text(self) -> str:
        """The same for people."""
        sections = (
            self._head(),
            self._loss(),
            self._uses(),
            self._traffic(),
            [
                f"a sample is run for {self.steps} steps, {self.level} of them until the read-out wakes"
                + ("; what samples save that stop early is not counted" if self.early else "")
            ],
            self._range(),
            *map(self._estimate, self.estimates),
            self._assumed(),
        )
        return "\n".join(line for section in sections for line in section)

    def _head(self) -> list[str]:
        return [
            f"{self.title}: {len(self.cores)} of {self.cores_available} cores on {self.chips} chip(s), "
            f"{self.neurons:,} neurons, {self.synapses:,} synapses",
            f"made from the network {self.origin}" if self.origin else UNKNOWN,
        ]

    def _loss(self) -> list[str]:
        if self.loss is None:
            return ["agreement with the float network: not known"]
        return self.loss.to_text().split("\n")

    def _uses(self) -> list[str]:
        lines = ["use of the cores: mean, largest, limit"]
        for field, name in _NAMES.items():
            used = np.array([getattr(core.use, field) for core in self.cores])
            limit = self.limits[field]
            lines.append(
                f"  {name:14} {used.mean():>12,.1f} {used.max():>12,} {limit:>12,}"
                f"  ({100 * used.max() / limit:.1f} % at most)"
            )
        words = np.array([core.use.synapse_bits for core in self.cores])
        lines.append(f"  {'synapse bits':14} {words.mean():>12,.1f} {words.max():>12,}   within the memory")
        return lines

    def _traffic(self) -> list[str]:
        t = self.traffic
        lines = [
            f"traffic a step ({t.measured}): {t.messages:,.1f} messages over {t.hops:,.1f} links, "
            f"{t.routes:,} routes, the longest {t.longest} hops",
            f"  busiest link {t.busiest:,.2f} messages a step",
        ]
        if self.chips > 1:
            lines.append(
                f"  between chips {t.between_chips:,.1f}, busiest such link "
                f"{t.busiest_between_chips:,.2f} messages a step"
            )
        operations = np.array([core.operations for core in self.cores])
        lines.append(
            f"  synaptic operations a step ({self.measured}) {operations.sum():,.1f}, "
            f"on the busiest core {operations.max():,.1f}"
        )
        return lines

    def _range(self) -> list[str]:
        energy = sorted(e.picojoule * 1e-3 for e in self.estimates if e.picojoule is not None)
        time = sorted(e.nanosecond * 1e-3 for e in self.estimates if e.nanosecond is not None)
        if len(energy) < 2 or len(time) < 2:
            return []
        return [
            f"a step: energy between {energy[0]:,.4g} and {energy[-1]:,.4g} nJ, "
            f"time between {time[0]:,.4g} and {time[-1]:,.4g} us"
        ]

    def _estimate(self, estimate: Estimate) -> list[str]:
        energy, time = estimate.picojoule, estimate.nanosecond
        joule = (
            "not published"
            if energy is None
            else f"{energy * 1e-3:,.4g} nJ a step, {energy * self.steps * 1e-3:,.4g} nJ a sample"
        )
        least = "at least " if estimate.bound else ""
        second = (
            "not published"
            if time is None
            else f"{least}{time * 1e-3:,.4g} us a step, {time * self.steps * 1e-3:,.4g} us a sample"
        )
        lines = [f"by {estimate.model}: energy {joule}; time {second}"]
        lines += [f"  {note}" for note in estimate.notes]
        lines += [f"  energy: {_line(term, 'pJ')}" for term in estimate.energy_terms]
        return lines + [f"  time: {_line(term, 'ns')}" for term in estimate.time_terms]

    def _assumed(self) -> list[str]:
        lines = [f"note: {note}" for note in self.notes]
        return lines + [f"assumed: {name} = {value:g} ({why})" for name, value, why in self.assumed]


def mapping_report(
    mapping: Mapping,
    chip: Chip | None = None,
    counts: abc.Mapping[str, Counts] | None = None,
    moments: int = 1,
) -> MappingReport:
    """The report of a mapping.

    Parameters
    ----------
    chip : its chip; None looks it up among our own: a mapping may come from a file, and no file may make us
        import a module.
    counts : of a run of the rebuilt graph over so many `moments` (samples x steps); None takes the spikes
        that the mapping's tables hold.

    Raises
    ------
    HardwareError
        Where the chip is not given and not one of ours.
    """
    chip = chip or _own_chip(mapping.chip)
    routes = routes_of(mapping)
    activity = (
        expected_activity(mapping, routes)
        if counts is None
        else activity_of(mapping, routes, counts, moments)
    )
    return MappingReport(
        chip.name,
        chip.title,
        mapping.chips,
        mapping.layout.chips * chip.grid.cores,
        mapping.neurons,
        mapping.synapses,
        mapping.record.steps + mapping.level,
        mapping.level,
        mapping.origin,
        limits_of(chip),
        _cores(mapping, chip, activity),
        _traffic_of(routes, measured_on(mapping)),
        activity.measured,
        estimates(mapping, chip, routes, activity),
        tuple((name, fact.value, fact.source) for name, fact in chip.facts() if fact.assumed),
        (*chip.notes, *((chip.energy.note,) if chip.energy.note else ()), *_MESH_NOTES),
        mapping.loss,
        mapping.record.exit is not None,
    )


def _own_chip(name: str) -> Chip:
    if name not in NAMES:
        need, hint = f"the table of the chip {name!r}", "mapping_report(mapping, chip) with its table"
        raise HardwareError(name, [Violation("mapping", need, ", ".join(NAMES), hint)])
    return load(name)


def _cores(mapping: Mapping, chip: Chip, activity: Activity) -> tuple[CoreReport, ...]:
    return tuple(
        CoreReport(
            core.chip,
            core.x,
            core.y,
            core.slot,
            {s.population: len(s.neurons) for s in core.slices},
            use,
            float(activity.operations[i]),
            float(activity.updates[i]),
            float(activity.spikes[i]),
            float(activity.received[i]),
        )
        for i, (core, use) in enumerate(zip(mapping.cores, use_of(mapping, chip), strict=True))
    )


def _traffic_of(routes: Routes, measured: str) -> TrafficReport:
    return TrafficReport(
        routes.messages,
        routes.hops,
        routes.between_chips,
        routes.busiest,
        routes.busiest_between_chips,
        routes.longest,
        len(routes.routes),
        measured,
    )


def _line(term: Term, unit: str) -> str:
    if term.each is None:
        return f"{term.name}: {term.count:,.1f} a step, {term.source}"
    mark = " (assumed)" if term.assumed else ""
    product = f"{term.count:,.1f} x {term.each:g} {unit} = {term.total:,.1f} {unit}"
    return f"{term.name}: {product}; {term.source}{mark}"


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
