"""The samples of a twin, by number: class, speaker and content of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.base import Index
from spikeflow.datasets.sets.catalog import metadata
from spikeflow.datasets.stored.rows import rows
from spikeflow.datasets.twins.cochlea import CochleaSpikes
from spikeflow.datasets.twins.draws import Draws
from spikeflow.datasets.twins.sample import Sample
from spikeflow.datasets.twins.table import RECIPES
from spikeflow.datasets.twins.voice import Voice

NOWHERE = Path("synthetic")  # a twin lies in no folder


@dataclass(frozen=True)
class Made:
    """`count` samples of one split of the twin of this name; classes take turns, and within a class the
    speakers.
    """

    name: str
    count: int
    split: str
    seed: int

    @property
    def classes(self) -> int:
        """How many."""
        return len(metadata(self.name).classes)

    def label(self, i: int) -> int:
        """Class of sample i."""
        return i % self.classes

    def group(self, i: int) -> int:
        """Speaker or user of sample i; 0 where the data set does not tell."""
        groups = RECIPES[self.name].groups.get(self.split)
        return groups[i // self.classes % len(groups)] if groups else 0

    def content(self, i: int) -> Any:
        """Events, sound, picture or values of taxels of sample i."""
        maker, draws = RECIPES[self.name].maker, Draws(self.seed, f"{self.name}/{self.split}", i)
        if isinstance(maker, CochleaSpikes | Voice):
            return maker.make(self.name, self.label(i), self.group(i), draws)
        return maker.make(self.name, self.label(i), draws)

    def samples(self) -> Iterator[Sample]:
        """All, made one by one."""
        for i in range(self.count):
            yield Sample(i // self.classes, self.label(i), self.group(i), self.content(i))

    def index(self) -> Index:
        """What a data set needs to know of them."""
        labels = np.arange(self.count) % self.classes
        groups = np.array([self.group(i) for i in range(self.count)]) if RECIPES[self.name].groups else None
        return Index(NOWHERE, "synthetic", rows("", self.count), labels, groups)
