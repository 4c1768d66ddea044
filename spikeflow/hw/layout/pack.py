"""Let small parts of different populations share a core: largest first, each where it shares most sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spikeflow.frozen import Frozen
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.layout.budget import INDEX_LIMIT, Need, list_bits, room_of, synapse_bits
from spikeflow.ir.arrays import frozen
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Part(Frozen):
    """Neurons of one population that lie together.

    Parameters
    ----------
    neurons : int32, ascending.
    lengths : int32, ``(axons,)``: synapses of each input axon.
    sources : for each Input or Population heard, the neurons, one entry for each axon.
    sent : output axons.
    """

    population: str
    neurons: Array
    need: Need
    lengths: Array
    sources: Mapping[str, Array]
    sent: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "neurons", frozen(self.neurons, np.int32))
        object.__setattr__(self, "lengths", frozen(self.lengths, np.int32))
        heard = {name: frozen(neurons, np.int32) for name, neurons in self.sources.items()}
        object.__setattr__(self, "sources", MappingProxyType(heard))


def core_memory(parts: Sequence[Part], chip: Chip) -> int:
    """Bits that these parts use on one core, by the chip's formula."""
    pairs = sum(len(p.neurons) * p.need.ports for p in parts)
    each = synapse_bits(chip, pairs, max(p.need.field for p in parts))
    lengths = np.concatenate([p.lengths for p in parts])
    records = sum(len(p.neurons) * p.need.record + p.need.tables for p in parts)
    axons = len(lengths) * int(chip.memory.axon.value)
    return int(chip.memory.overhead.value) + records + axons + list_bits(chip, lengths, each)


class _Core:
    """Parts on one core, with the sums that refuse most candidates without a full count."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.parts = chip, list[Part]()
        self.neurons = self.axons = self.sent = self.memory = self.pairs = 0

    def take(self, part: Part) -> None:
        self.parts.append(part)
        self.neurons += len(part.neurons)
        self.axons += len(part.lengths)
        self.sent += part.sent
        self.pairs += len(part.neurons) * part.need.ports
        self.memory = core_memory(self.parts, self.chip)

    def takes(self, part: Part, memory: int) -> bool:
        """Whether the part fits too; `memory` is what it uses alone."""
        room, overhead = room_of(self.chip), int(self.chip.memory.overhead.value)
        if self.neurons + len(part.neurons) > room.neurons or self.axons + len(part.lengths) > room.axons:
            return False
        if self.sent + part.sent > self.chip.axons_out.value or self.memory + memory - overhead > room.memory:
            return False
        if self.pairs + len(part.neurons) * part.need.ports > INDEX_LIMIT:
            return False
        if any(p.population == part.population for p in self.parts):
            return False
        return core_memory([*self.parts, part], self.chip) <= room.memory

    def shared(self, part: Part) -> int:
        """Sources that the part has in common with the core."""
        return sum(
            len(np.intersect1d(mine.sources[name], neurons))
            for mine in self.parts
            for name, neurons in part.sources.items()
            if name in mine.sources
        )


def pack(parts: Sequence[Part], chip: Chip) -> tuple[tuple[Part, ...], ...]:
    """The parts by core; cores in the order of their first part."""
    alone = [core_memory([part], chip) for part in parts]
    cores: list[_Core] = []
    for index in sorted(range(len(parts)), key=lambda i: (-alone[i], i)):
        able = [core for core in cores if core.takes(parts[index], alone[index])]
        if able:
            best = max(able, key=lambda core: (core.shared(parts[index]), core.memory))
        else:
            best = _Core(chip)
            cores.append(best)
        best.take(parts[index])
    rank = {id(part): i for i, part in enumerate(parts)}
    ordered = [tuple(sorted(core.parts, key=lambda p: rank[id(p)])) for core in cores]
    return tuple(sorted(ordered, key=lambda core: rank[id(core[0])]))
