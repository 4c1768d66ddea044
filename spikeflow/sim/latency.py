"""How long the calls of a live run took: what a stream of single steps has to keep up with."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

KEPT = 1 << 17  # of the last calls


@dataclass(frozen=True)
class Latency:
    """Wall time of calls of `Live.advance`; of single steps where each call ran one.

    Parameters
    ----------
    calls : that were timed, the last 131,072 at most.
    steps : that they ran.
    p50_s, p99_s, most_s : seconds within which half of the calls, 99 % and all of them came back; by nearest
        rank, so each is a time that was measured.
    """

    calls: int
    steps: int
    p50_s: float
    p99_s: float
    most_s: float

    def __str__(self) -> str:
        if not self.calls:
            return "no calls yet"
        ms = [1e3 * s for s in (self.p50_s, self.p99_s, self.most_s)]
        each = self.steps / self.calls
        told = f"{ms[0]:.3g} ms, 99 % within {ms[1]:.3g} ms, at most {ms[2]:.3g} ms"
        return f"{self.calls} calls of {each:g} steps: {told}"


class Calls:
    """The calls of one live run while it goes on."""

    def __init__(self) -> None:
        self._seconds, self._steps = array("d"), array("q")
        self._next = 0

    def add(self, seconds: float, steps: int) -> None:
        """One further call; the oldest gives way where there are too many."""
        if len(self._seconds) < KEPT:
            self._seconds.append(seconds)
            self._steps.append(steps)
        else:
            self._seconds[self._next], self._steps[self._next] = seconds, steps
            self._next = (self._next + 1) % KEPT

    def latency(self) -> Latency:
        """Of those that are kept; zeros where there are none."""
        if not self._seconds:
            return Latency(0, 0, 0.0, 0.0, 0.0)
        p50, p99, most = np.quantile(self._seconds, (0.5, 0.99, 1.0), method="inverted_cdf").tolist()
        return Latency(len(self._seconds), sum(self._steps), p50, p99, most)
