"""What a mapping uses of its cores, and what a step costs in energy and time.

Energy and time use only constants of the chip's table. A figure that is not published stays None; the time
then has a lower bound, the largest of the terms whose constants are known (Timcheck et al.,
arXiv:2601.10035: updates of the busiest core, its synaptic operations, its memory reads, the busiest link,
the barrier). A bound that is the same for every network is no figure of this one and stays None, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.errors import Violation
from spikeflow.hw.activity import Activity
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.layout.budget import list_bits, record_bits, room_of, synapse_bits
from spikeflow.hw.layout.route import Routes, unicast_hops
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.hw.tables.records import CoreTable, SliceTable
from spikeflow.typing import Array


@dataclass(frozen=True)
class CoreUse:
    """What one core holds, counted from its tables.

    Parameters
    ----------
    synapse_bits : of all synapse lists, by the chip's rule; `synapse_width` bits for one synapse.
    memory_bits : of the whole formula: overhead, records, axons, lists and tables.
    delay : the longest of its axons, in steps of the graph.
    """

    neurons: int
    axons_in: int
    axons_out: int
    synapses: int
    synapse_width: int
    synapse_bits: int
    memory_bits: int
    delay: int


def use_of(mapping: Mapping, chip: Chip) -> tuple[CoreUse, ...]:
    """The use of every core."""
    return tuple(_use(mapping, core, chip) for core in mapping.cores)


def _use(mapping: Mapping, core: CoreTable, chip: Chip) -> CoreUse:
    axons, offset = core.axons, int(chip.delays.offset.value)
    pairs = sum(len(s.neurons) * max(1, len(mapping.kinds[s.kind].program.inputs)) for s in core.slices)
    delay = int(axons.delay.max(initial=0))
    width = synapse_bits(chip, pairs, max(0, delay - offset))
    lists = list_bits(chip, axons.lengths, width)
    records = sum(_records(mapping, core, s, chip) for s in core.slices)
    inputs = len(axons.delay)
    memory = int(chip.memory.overhead.value) + records + inputs * int(chip.memory.axon.value) + lists
    sent, words = len(core.routes.neuron), len(axons.weight)
    return CoreUse(core.neurons, inputs, sent, words, width, lists, memory, delay)


def _records(mapping: Mapping, core: CoreTable, table: SliceTable, chip: Chip) -> int:
    program = mapping.kinds[table.kind].program
    words = len(program.states) + sum(len(a) > 1 for a in table.params.values())
    slots = 0
    for index in np.unique(core.axons.projection):
        if mapping.projections[index].target == table.population:
            longest = int(core.axons.delay[core.axons.projection == index].max())
            slots += max(0, longest - int(chip.delays.offset.value)) + 1
    entries = sum(len(t) for t in program.tables.values())
    return len(table.neurons) * record_bits(chip, words, slots) + entries * int(chip.memory.table_word.value)


def limits_of(chip: Chip) -> dict[str, int]:
    """The limit of each field of `CoreUse` that has one."""
    room = room_of(chip)
    return {
        "neurons": room.neurons,
        "axons_in": room.axons,
        "axons_out": int(chip.axons_out.value),
        "memory_bits": room.memory,
        "delay": int(chip.delays.maximum.value),
    }


def over_limits(mapping: Mapping, chip: Chip) -> tuple[Violation, ...]:
    """Every limit of a core, and the mesh, where the tables break it; empty for what `map_network` makes."""
    found = []
    grid, layout = chip.grid, mapping.layout
    if (layout.columns, layout.rows, layout.cores_per_tile) != (
        grid.columns.value,
        grid.rows.value,
        grid.cores_per_tile.value,
    ):
        need = f"{layout.columns} x {layout.rows} tiles of {layout.cores_per_tile} cores"
        limit = f"{grid.columns.value:g} x {grid.rows.value:g} of {grid.cores_per_tile.value:g}"
        found.append(Violation("layout", need, limit))
    for index, use in enumerate(use_of(mapping, chip)):
        for name, limit in limits_of(chip).items():
            used = getattr(use, name)
            if used > limit:
                found.append(Violation(f"core {index}", f"{used} {name}", f"{limit} {name} of a core"))
    return tuple(found)


@dataclass(frozen=True)
class Term:
    """One addend of an estimate: how often in a step, at what cost (None: not published), by which source."""

    name: str
    count: float
    each: float | None
    source: str
    assumed: bool = False

    @property
    def total(self) -> float | None:
        """count x each."""
        return None if self.each is None else self.count * self.each


@dataclass(frozen=True)
class Estimate:
    """Energy and time of one step by one published model.

    Parameters
    ----------
    picojoule, nanosecond : of a step on all chips; None where not published.
    bound : the time is only a lower bound.
    notes : what the model does and does not count.
    """

    model: str
    picojoule: float | None
    nanosecond: float | None
    bound: bool
    energy_terms: tuple[Term, ...]
    time_terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()


def estimates(mapping: Mapping, chip: Chip, routes: Routes, activity: Activity) -> tuple[Estimate, ...]:
    """One estimate for each model that the chip's table has constants for; else the bound alone."""
    table = _Constants(chip)
    found = []
    if table.has("synaptic_operation", "neuron_update", "hop_east_west", "hop_north_south"):
        found.append(_by_operation(mapping, table, routes, activity))
    if table.has("sanafe_synaptic_sparse", "sanafe_neuron_access", "sanafe_message_out"):
        found.append(_by_access(mapping, table, routes, activity))
    return tuple(found) or (_bound(mapping, table, routes, activity),)


class _Constants:
    """A chip's constants as terms."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.tables = {"energy": chip.energy.picojoule, "time": chip.energy.nanosecond}

    def has(self, *names: str) -> bool:
        """Whether all have an energy."""
        return all(self.chip.energy.picojoule.get(name) for name in names)

    def term(self, kind: str, name: str, count: float, label: str = "") -> Term:
        """A term with the constant of this name, unpublished where the table has none."""
        fact = self.tables[kind].get(name)
        if fact is None:
            return Term(label or name, count, None, "not published")
        return Term(label or name, count, fact.value, fact.source, fact.assumed)

    def barrier(self, prefix: str, tiles: int) -> Term:
        """The barrier by the number of tiles, between the published points on a straight line."""
        points = sorted(
            (int(name.split("_")[-2]), fact)
            for name, fact in self.tables["time"].items()
            if fact is not None and name.startswith(f"{prefix}barrier_")
        )
        if not points:
            return Term("barrier", 1, None, "not published")
        value = float(np.interp(tiles, [t for t, _ in points], [f.value for _, f in points]))
        return Term(f"barrier of {tiles} tiles", 1, value, points[0][1].source, points[0][1].assumed)


def _hops(routes: Routes) -> tuple[float, float]:
    return float(routes.loads[:2].sum()), float(routes.loads[2:].sum())


def _tiles(mapping: Mapping) -> int:
    return len({(c.chip, c.x, c.y) for c in mapping.cores})


def _by_operation(mapping: Mapping, table: _Constants, routes: Routes, activity: Activity) -> Estimate:
    """A cost for each operation, update and hop; a step lasts as long as its busiest core and the barrier."""
    active, (east_west, north_south) = activity.updates - activity.idle, _hops(routes)
    energy = (
        table.term("energy", "synaptic_operation", activity.operations.sum()),
        table.term("energy", "neuron_update", active.sum()),
        table.term("energy", "neuron_update_idle", activity.idle.sum()),
        table.term("energy", "spike_within_tile", activity.received.sum()),
        table.term("energy", "hop_east_west", east_west),
        table.term("energy", "hop_north_south", north_south),
        table.term("energy", "barrier", 1),
    )
    each = _core_times(
        table,
        ("synaptic_operation", "neuron_update", "neuron_update_idle"),
        (activity.operations, active, activity.idle),
    )
    core = int(np.argmax(each))
    span = (
        table.term(
            "time", "synaptic_operation", activity.operations[core], f"synaptic operations of core {core}"
        ),
        table.term("time", "neuron_update", active[core], f"updates of core {core}"),
        table.term("time", "neuron_update_idle", activity.idle[core], f"idle updates of core {core}"),
        table.barrier("", _tiles(mapping)),
    )
    return Estimate("costs of operations", _total(energy), _total(span), False, energy, span)


def _core_times(table: _Constants, names: tuple[str, ...], counts: tuple[Array, ...]) -> Array:
    facts = [table.tables["time"].get(name) for name in names]
    values = [fact.value if fact else 0.0 for fact in facts]
    return np.sum([count * value for value, count in zip(values, counts, strict=True)], axis=0)


def _by_access(mapping: Mapping, table: _Constants, routes: Routes, activity: Activity) -> Estimate:
    """SANA-FE's rules: an idle neuron costs its access only; time by the slower pipeline of a core.

    A message goes to one core, so a spike sends one for each core that hears it, over the whole way to that
    core. The model knows no host: of what the host injects, only the arrival counts.
    """
    active, (east_west, north_south) = activity.updates - activity.idle, unicast_hops(mapping, routes)
    sent = _sent(mapping, routes)
    names = {
        "sanafe_neuron_access": activity.updates,
        "sanafe_neuron_update": active,
        "sanafe_neuron_firing": activity.spikes,
        "sanafe_synaptic_sparse": activity.operations,
        "sanafe_message_out": sent,
        "sanafe_message_in": activity.received,
    }
    energy = (
        *(table.term("energy", name, count.sum()) for name, count in names.items()),
        table.term("energy", "sanafe_hop_east_west", east_west),
        table.term("energy", "sanafe_hop_north_south", north_south),
    )
    neuron = {
        "sanafe_neuron_access": activity.updates,
        "sanafe_neuron_update": active,
        "sanafe_neuron_firing": activity.spikes,
        "sanafe_message_out": sent,
    }
    message = {"sanafe_message_in": activity.received, "sanafe_synaptic_sparse": activity.operations}
    times = [_core_times(table, tuple(p), tuple(p.values())) for p in (neuron, message)]
    slower = int(times[1].max() > times[0].max())
    pipeline, core = (neuron, message)[slower], int(np.argmax(times[slower]))
    stages = (table.term("time", n, count[core], f"{n} on core {core}") for n, count in pipeline.items())
    span = (*stages, table.barrier("sanafe_", _tiles(mapping)))
    notes = (
        "a message for each core that hears a spike (unicast), and none from the host, as in that model",
    )
    return Estimate("SANA-FE's rules", _total(energy), _total(span), False, energy, span, notes)


def _sent(mapping: Mapping, routes: Routes) -> Array:
    sent = np.zeros(len(mapping.cores))
    for route in routes.routes:
        if route.core >= 0:
            sent[route.core] += route.messages * len(route.destinations)
    return sent


def _bound(mapping: Mapping, table: _Constants, routes: Routes, activity: Activity) -> Estimate:
    """No energy; the time is at least the largest of five terms."""
    use = use_of(mapping, table.chip)
    width = np.array([u.synapse_width for u in use])
    reads = float((activity.operations * width).max(initial=0))
    operations = activity.operations.max(initial=0)
    span = (
        _updates(table, activity),
        table.term("time", "synaptic_operation", operations, "synaptic operations of the busiest core"),
        table.term("time", "memory_read_bit", reads, "synaptic memory bits read by the busiest core"),
        table.term("time", "hop", routes.busiest, "messages on the busiest link"),
        _shortest(table),
    )
    *of_network, floor = (t.total or 0.0 for t in span)
    # a floor under the steps of every network says nothing of this one
    largest = max(of_network)
    energy = (
        table.term("energy", "synaptic_operation", activity.operations.sum()),
        table.term("energy", "neuron_update", activity.updates.sum()),
        table.term("energy", "hop", routes.hops),
    )
    model, notes = table.chip.energy.bound or "the largest of five terms", (_BOUND,)
    return Estimate(model, None, largest if largest > floor else None, True, energy, span, notes)


_BOUND = (
    "a step takes at least as long as the largest of the terms that are known; a bound, not a measurement"
)


def _shortest(table: _Constants) -> Term:
    least = "shortest_step" if table.tables["time"].get("shortest_step") else "barrier"
    return table.term("time", least, 1, "barrier, or the shortest step of any network")


def _updates(table: _Constants, activity: Activity) -> Term:
    """The updates of the busiest core, its idle neurons at their own cost where the table has one."""
    active, name = activity.updates - activity.idle, "neuron_update"
    fact, idle = (table.tables["time"].get(n) for n in (name, "neuron_update_idle"))
    if fact is None or idle is None or not len(active):
        return table.term("time", name, activity.updates.max(initial=0), "updates of the busiest core")
    times = active * fact.value + activity.idle * idle.value
    core = int(np.argmax(times))
    count = float(activity.updates[core])
    source = f"{fact.value:g} ns, idle {idle.value:g} ns: {fact.source}"
    label = f"updates of the busiest core ({activity.idle[core]:,.1f} of them idle)"
    return Term(label, count, float(times[core]) / count if count else 0.0, source, fact.assumed)


def _total(terms: tuple[Term, ...]) -> float:
    """The sum of what is published."""
    return float(sum(t.total for t in terms if t.total is not None))
