"""Sound: samples of an amplitude, and how many of them make a second."""

from __future__ import annotations

from typing import NamedTuple

from spikeflow.typing import Array


class Sound(NamedTuple):
    """Samples (float32, ``(n,)``, -1 to 1) and how many of them make a second."""

    samples: Array
    rate_hz: int
