"""Synthetic twins: data made up in the image of each data set, so that everything runs where the data set is
not.

Same sensor, lengths, numbers of events, classes and names; nothing is copied from the data set. Classes
differ by place, movement or pitch, so that a small network tells them apart; figures reached on a twin say
nothing about the data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.base import Dataset, Index
from spikeflow.datasets.encoded import ImageEncoder, Rate
from spikeflow.datasets.fetch.unpack import drafted
from spikeflow.datasets.sets.audio import AudioDataset, AudioEncoder
from spikeflow.datasets.sets.braille import taxel_events
from spikeflow.datasets.sets.catalog import dataset_class
from spikeflow.datasets.sets.catalog import metadata as metadata_of
from spikeflow.datasets.sets.images import ImageDataset
from spikeflow.datasets.stored.rows import Row
from spikeflow.datasets.twins.layouts import LAYOUTS
from spikeflow.datasets.twins.made import NOWHERE, Made
from spikeflow.datasets.twins.picture import Picture
from spikeflow.datasets.twins.table import RECIPES
from spikeflow.datasets.twins.touch import Touch
from spikeflow.datasets.twins.voice import Voice
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.sound import Sound
from spikeflow.typing import Array

EACH = 10  # samples of each class, unless the user says otherwise
LICENCE = "made up by spikeflow: free; nothing of the data set is in it"


def twin(
    name: str, samples: int | None = None, split: str = "train", seed: int = 0, **options: Any
) -> Dataset[Events]:
    """The twin of a data set, in memory; sample i is made when it is asked for, of draws numbered by i.

    Items are those of the real data set (images and sounds with `image`, `arrays` and `audio`, too), but for
    DSEC, whose twin in memory gives the events of the left camera; `write` makes whole drives.

    Parameters
    ----------
    name : of the data set, as the catalogue has it.
    samples : how many; 10 of each class where None. Classes take turns.
    split : one of the data set's; different splits share classes, not samples, and no speakers where the set
        has it so.
    seed : of the samples; the classes do not depend on it.
    options : `transform`; `encoder` for images and sounds; `threshold` for Braille.

    Raises
    ------
    DataError
        Where there is no such data set or split, or no sample is asked for.
    """
    metadata = metadata_of(name)
    if split not in metadata.counts:
        raise DataError(f"{metadata.name}: split", split, f"one of {', '.join(metadata.counts)}")
    count = EACH * len(metadata.classes) if samples is None else samples
    if count < 1:
        raise DataError("twin: samples", count, "at least one")
    made = Made(metadata.name, count, split, seed)
    maker = RECIPES[metadata.name].maker
    if isinstance(maker, Picture):
        return ImageTwin(made, **options)
    if isinstance(maker, Voice):
        return SoundTwin(made, **options)
    return TouchTwin(made, **options) if isinstance(maker, Touch) else EventTwin(made, **options)


def write(name: str, folder: str | Path, samples: int = 4, seed: int = 0) -> Path:
    """Write a twin of `samples` samples of each class and split, in layout and format of the real data set.

    The folder opens as the real one does, with ``partial=True``. It is written whole or not at all.

    Raises
    ------
    FileError
        Where the folder is there already and not empty.
    DataError
        Where there is no such data set, or it has fewer samples of a class than asked for.
    """
    metadata = metadata_of(name)
    if samples < 1:
        raise DataError("twin: samples", samples, "at least one of each class")
    splits = {
        split: Made(metadata.name, samples * len(metadata.classes), split, seed).samples()
        for split in metadata.counts
        if split != "all"  # the others are parts of it
    }
    with drafted(Path(folder)) as draft:
        LAYOUTS[metadata.name](draft, splits)
    return Path(folder)


class _Twin(Dataset[Events]):
    """What all twins share: samples of a recipe instead of files."""

    _made: Made

    def _begin(self, made: Made, transform: Callable[[Events], Any] | None) -> None:
        self._made, self.transform, self.index = made, transform, made.index()
        self.folder, self.split, self.partial, self.selection = NOWHERE, made.split, True, "synthetic twin"
        metadata = metadata_of(made.name)
        self.metadata = replace(
            metadata, title=f"{metadata.title} (synthetic twin)", licence=LICENCE, archives=()
        )
        self.found, self.expected = made.count, metadata.counts[made.split]

    def find(self, folder: Path, split: str) -> Index | None:
        """Nothing: a twin is in no folder."""
        return None

    def _official_validation(self) -> Dataset[Events]:
        options = {name: getattr(self, name) for name in ("encoder", "threshold") if hasattr(self, name)}
        made = self._made
        return twin(made.name, made.count, "validation", made.seed, transform=self.transform, **options)

    def files(self) -> list[str]:
        """None."""
        return []

    def facts(self) -> dict[str, Any]:
        """As of any data set; the layout is ``synthetic``, and a twin is never complete."""
        return {**super().facts(), "complete": False}


class EventTwin(_Twin):
    """Twin of a camera or a cochlea."""

    def __init__(self, made: Made, transform: Callable[[Events], Any] | None = None) -> None:
        self._begin(made, transform)

    def read(self, place: Row) -> Events:
        """Events of the sample of this number."""
        return self._made.content(place.row)


class TouchTwin(_Twin):
    """Twin of Braille."""

    def __init__(
        self, made: Made, transform: Callable[[Events], Any] | None = None, threshold: int = 1
    ) -> None:
        self.threshold = threshold
        self._begin(made, transform)

    def taxels(self, i: int) -> Array:
        """Values of trial i, uint8, ``(steps, 12)``."""
        return self._made.content(self.locate(i).row)

    def read(self, place: Row) -> Events:
        """Events of the trial of this number."""
        return taxel_events(self._made.content(place.row), self.threshold)


class ImageTwin(_Twin, ImageDataset):
    """Twin of still images."""

    def __init__(
        self,
        made: Made,
        transform: Callable[[Events], Any] | None = None,
        encoder: ImageEncoder = Rate(),  # noqa: B008  (frozen)
    ) -> None:
        self.encoder = encoder
        self._begin(made, transform)

    def _pick(self, path: str, chosen: Any) -> Array:
        return np.stack([self._made.content(int(i)) for i in chosen])


class SoundTwin(_Twin, AudioDataset):
    """Twin of recorded words."""

    def __init__(
        self,
        made: Made,
        transform: Callable[[Events], Any] | None = None,
        encoder: AudioEncoder | None = None,
    ) -> None:
        real: Any = dataset_class(made.name)  # an AudioDataset, as its recipe says
        self.rate_hz, self.encoder = real.rate_hz, encoder or real.ear
        self._begin(made, transform)

    def _sound(self, place: Any) -> Sound:
        return self._made.content(place.row)


__all__ = ["EventTwin", "ImageTwin", "SoundTwin", "TouchTwin", "twin", "write"]
