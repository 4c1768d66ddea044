"""A recording whose events are put in order of time: all of them, those of one time as they follow in the
file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from spikeflow.datasets.recording import Columns, Recording
from spikeflow.events import COLUMNS


class Sorted(Recording):
    """Another recording, opened so that it takes any order (``sort``); its events are held in memory to be
    sorted.
    """

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording.path, recording.header, recording.options)
        self._recording = recording

    @property
    def dropped(self) -> Mapping[str, int]:
        """As the recording; no event is left out for its time."""
        return self._recording.dropped

    @property
    def warnings(self) -> tuple[str, ...]:
        """As the recording."""
        return self._recording.warnings

    @property
    def assumed(self) -> tuple[str, ...]:
        """As the recording."""
        return self._recording.assumed

    def columns(self, start_us: int | None = None) -> Iterator[Columns]:
        """All events, in one piece."""
        empty = tuple(np.empty(0, dtype) for _, dtype in COLUMNS)
        t, x, y, p = (np.concatenate(parts) for parts in zip(empty, *self._recording.columns(), strict=True))
        if (t[1:] < t[:-1]).any():
            order = np.argsort(t, kind="stable")
            t, x, y, p = (column[order] for column in (t, x, y, p))
        yield t, x, y, p

    def close(self) -> None:
        """Let go of the file."""
        self._recording.close()
