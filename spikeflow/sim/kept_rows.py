"""Rows of synapses as plain arrays; `spikeflow.sim.kept` keeps them in files."""

from __future__ import annotations

from dataclasses import dataclass

from spikeflow.files.mapped import Bytes


@dataclass(frozen=True, eq=False)
class KeptRows:
    """The rows of one node as the engine names them: type of a weight, numbers, arrays as bytes."""

    weight: str
    numbers: list[int]
    arrays: list[Bytes]

    @property
    def parts(self) -> tuple[str, list[int], tuple[Bytes, ...]]:
        """The same as the engine takes it."""
        return self.weight, self.numbers, tuple(self.arrays)
