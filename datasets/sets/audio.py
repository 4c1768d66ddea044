"""Data sets of sound: read as samples, or one by one as spikes of an artificial cochlea."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, SupportsIndex

import numpy as np

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.stored.wave import read_wave
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.sound import Sound
from spikeflow.typing import Array


class AudioEncoder(Protocol):
    """What turns a sound into spikes."""

    def __call__(self, samples: Array, rate_hz: int) -> Events: ...


class AudioDataset(Dataset[Events]):
    """WAV files with an encoder: ``[i] -> (Events, label)``; a class gives `metadata`, `find`, `rate_hz` and
    `ear`.

    Parameters
    ----------
    encoder : what makes spikes of a sound; the class's `ear`, which hears what the recordings hold, where
        None.
    others : as of `Dataset`.
    """

    rate_hz: int
    ear: AudioEncoder

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        partial: bool = False,
        transform: Callable[[Events], Any] | None = None,
        encoder: AudioEncoder | None = None,
    ) -> None:
        self.encoder = encoder or self.ear
        super().__init__(folder, split, partial, transform)

    def audio(self, i: SupportsIndex) -> Sound:
        """Samples (float32, -1 to 1) and rate of sound i, as its file holds them."""
        return self._sound(self.locate(i))

    def _sound(self, place: str) -> Sound:
        sound = read_wave(self.root / place)
        if sound.rate_hz != self.rate_hz:
            raise DataError(f"{self.root / place}", f"{sound.rate_hz} Hz", f"{self.rate_hz} Hz")
        return sound

    def read(self, place: str) -> Events:
        """The sound at this place, encoded."""
        return self.encoder(*self._sound(place))

    def waves(self, length: int) -> tuple[Array, Array]:
        """All sounds, float32, ``(N, length)``, cut or filled up with zeros at the end, and labels, int64."""
        out = np.zeros((len(self), length), np.float32)
        for i in range(len(self)):
            samples = self.audio(i).samples[:length]
            out[i, : len(samples)] = samples
        return out, self.labels.copy()
