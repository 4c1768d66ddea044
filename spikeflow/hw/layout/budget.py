"""What fits on one core, asked while it grows: neurons, input axons and the chip's own memory formula.

memory = overhead + neurons x record + axons x (axon + list) + tables, each list by the chip's rule for the
number of its synapses and the bits of one; these grow with the index over (neuron, port) of the whole core
and with its longest delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikeflow.errors import Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.layout.connectivity import FanIn
from spikeflow.hw.tables.records import Projection
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.typing import Array

INDEX_LIMIT = 2**16  # (neuron, port) pairs of a core in the mapping's own tables


@dataclass(frozen=True)
class Room:
    """The limits of one core, or a share of them."""

    neurons: int
    axons: int
    memory: int

    def scaled(self, share: float, fixed: int) -> Room:
        """A share of each limit; `fixed` bits of the memory are not shared."""
        return Room(
            max(1, int(self.neurons * share)),
            max(1, int(self.axons * share)),
            int(fixed + (self.memory - fixed) * share),
        )


@dataclass(frozen=True)
class Need:
    """What the neurons of one population ask of a core, apart from their synapses.

    Parameters
    ----------
    record : bits of one neuron: states, params of its own, ring slots.
    ports : index values of one neuron.
    field : the chip's largest delay field among its axons.
    tables : bits of the program's tables, once for a core.
    """

    record: int
    ports: int
    field: int
    tables: int


def room_of(chip: Chip) -> Room:
    """The limits of one core of a chip."""
    return Room(int(chip.neurons.value), int(chip.axons_in.value), int(chip.memory.limit.value))


def need_of(
    graph: Graph, population: str, edges: tuple[Projection, ...], delays: dict[str, int], chip: Chip
) -> Need:
    """What one population needs; `delays` holds the longest delay of each projection."""
    node = graph.nodes[population]
    assert isinstance(node, Population)
    fields = [max(0, delays[e.name] - int(chip.delays.offset.value)) for e in edges if e.target == population]
    words = len(node.program.states) + sum(own_words(a, node.shape) for a in node.params.values())
    record = record_bits(chip, words, sum(f + 1 for f in fields))
    tables = sum(len(t) for t in node.program.tables.values()) * int(chip.memory.table_word.value)
    return Need(record, max(1, len(node.ports)), max(fields, default=0), tables)


def own_words(array: Array, shape: tuple[int, ...]) -> int:
    """Words that a param costs every neuron: 0 where one value serves all."""
    return int(array.size > 1 and prod(shape) > 1 and bool((array != array.flat[0]).any()))


def record_bits(chip: Chip, words: int, slots: int) -> int:
    """Bits of one neuron's record: words of state and params, and slots of the ring for each projection."""
    return words * int(chip.memory.state_word.value) + slots * int(chip.memory.ring_word.value)


def index_bits(pairs: int) -> int:
    """Bits that tell apart so many (neuron, port) pairs."""
    return (max(1, pairs) - 1).bit_length()


def synapse_bits(chip: Chip, pairs: int, field: int) -> int:
    """Bits of one synapse on a core of so many (neuron, port) pairs and this largest delay field."""
    return int(chip.memory.synapse_bits(index_bits(pairs), int(field).bit_length()))


def list_bits(chip: Chip, lengths: Array, each: int) -> int:
    """Bits of all lists of these lengths."""
    lengths = lengths[lengths > 0].astype(np.int64)
    return int(chip.memory.list_bits(lengths, each).sum()) if lengths.size else 0


class Tally:
    """One growing part of one population, its use kept exact after every change.

    Parameters
    ----------
    axons : number of axons of the whole population.
    """

    def __init__(self, chip: Chip, need: Need, axons: int) -> None:
        self.chip, self.need = chip, need
        self.counts = np.zeros(axons, np.int32)
        self.neurons = self.axons = self.lists = 0

    @property
    def memory(self) -> int:
        """Bits in use."""
        return self._total(self.neurons, self.axons, self.lists)

    def _total(self, neurons: int, axons: int, lists: int) -> int:
        fixed = int(self.chip.memory.overhead.value) + self.need.tables + neurons * self.need.record
        return fixed + axons * int(self.chip.memory.axon.value) + lists

    def _after(self, axons: Array, more: Array, neurons: int) -> tuple[int, int, int]:
        """(neurons, axons, list bits) once `more` synapses lie on these distinct axons."""
        total = self.neurons + neurons
        old = self.counts[axons]
        new = old + more
        used = self.axons + int((new > 0).sum()) - int((old > 0).sum())
        each = self._each(total)
        if each == self._each(self.neurons):
            change = list_bits(self.chip, new, each) - list_bits(self.chip, old, each)
            return total, used, self.lists + change
        counts = self.counts.copy()
        counts[axons] = new
        return total, used, list_bits(self.chip, counts, each)

    def _each(self, neurons: int) -> int:
        return synapse_bits(self.chip, neurons * self.need.ports, self.need.field)

    def fits(self, axons: Array, more: Array, neurons: int, room: Room) -> bool:
        """Whether the part stays within the room after a change."""
        total, used, lists = self._after(axons, more, neurons)
        small = total <= room.neurons and used <= room.axons and total * self.need.ports <= INDEX_LIMIT
        return small and self._total(total, used, lists) <= room.memory

    def within(self, room: Room) -> bool:
        """Whether the part is within the room as it is."""
        return self.fits(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, room)

    def add(self, axons: Array, more: Array, neurons: int) -> None:
        """Take neurons in, or with negative numbers out."""
        self.neurons, self.axons, self.lists = self._after(axons, more, neurons)
        self.counts[axons] += more.astype(np.int32)

    def fill(self, room: Room) -> float:
        """The largest used share of any limit, fixed costs apart."""
        fixed = int(self.chip.memory.overhead.value) + self.need.tables
        return max(
            self.neurons / room.neurons,
            self.axons / room.axons,
            (self.memory - fixed) / max(1, room.memory - fixed),
        )


@dataclass(frozen=True)
class Task:
    """A population to be cut: its synapses, what its neurons need, and the chip."""

    name: str
    fan: FanIn
    need: Need
    chip: Chip

    def tally(self, neurons: Array | None = None) -> Tally:
        """The exact use of a part, empty where no neurons are given."""
        tally = Tally(self.chip, self.need, self.fan.axons)
        if neurons is not None:
            tally.add(*self.fan.axons_of(neurons), len(neurons))
        return tally

    def _pruning(self, neuron: int) -> str:
        """How many of its synapses a neuron that is too big could keep; nothing where not even one fits."""
        axons, lengths = self.fan.axons_of(np.array([neuron]))
        empty, room = self.tally(), room_of(self.chip)
        low, high = 0, len(axons)
        while low < high:
            middle = (low + high + 1) // 2
            fits = empty.fits(axons[:middle], lengths[:middle], 1, room)
            low, high = (middle, high) if fits else (low, middle - 1)
        return f"at most {low} inputs for each neuron" if low else ""

    def too_big(self, neuron: int) -> Violation:
        """Why one neuron alone fits no core."""
        alone, room = self.tally(np.array([neuron])), room_of(self.chip)
        hint = self._pruning(neuron)
        if alone.axons > room.axons:
            return Violation(
                self.name,
                f"{alone.axons} input axons for one neuron",
                f"{room.axons} input axons of a core",
                hint,
            )
        return Violation(
            self.name,
            f"{alone.memory} bits for one neuron with its synapses",
            f"{room.memory} bits of a core",
            hint,
        )
