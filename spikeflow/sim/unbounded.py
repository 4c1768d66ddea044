"""Floats that left float32 in a run, infinite or no number: what of them is found, and what a user is told.

Found are states of populations as they stand behind the last step, and all values of outputs and of what was
recorded. A state that was infinite in between and was set back since, as by a reset to 0, is not found: to
look at every state in every step would cost every run what few runs need. NaN stays in any state that is made
of its last value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.typing import Array

SHOWN = 6  # names in one warning


@dataclass(frozen=True)
class Unbounded:
    """Values of one name that are infinite or no number.

    Parameters
    ----------
    name : a state ("layer.v"), an output, or what was recorded.
    count : how many, of all samples; of a state those behind the last step.
    sample : the first that has any.
    step : the first in which that sample has; of a state in a run that is advanced piece by piece the last
        step of the piece.
    """

    name: str
    count: int
    sample: int
    step: int

    def later(self, steps: int = 0, samples: int = 0) -> Unbounded:
        """The same, of a run that has so many steps and samples before it."""
        return replace(self, step=self.step + steps, sample=self.sample + samples)


def in_values(name: str, values: Any) -> tuple[Unbounded, ...]:
    """What is found in values of every step, ``(T, B, *shape)`` or `Spikes`; one entry or none."""
    if isinstance(values, Spikes):  # which take finite values alone
        return ()
    if values.dtype.kind != "f" or not values.size or np.isfinite([values.min(), values.max()]).all():
        return ()
    step, sample, *_ = np.nonzero(~np.isfinite(values))
    return _first(name, sample, step)


def _first(name: str, sample: Array, step: Array) -> tuple[Unbounded, ...]:
    if not sample.size:
        return ()
    first = int(sample.min())
    return (Unbounded(name, sample.size, first, int(step[sample == first].min())),)


def states_at_end(ended: Iterable[tuple[str, str, int, int]], steps: int) -> tuple[Unbounded, ...]:
    """What a run of so many steps found behind the last: node, state, sample, and how many of its values."""
    return merged(Unbounded(f"{node}.{state}", n, sample, steps - 1) for node, state, sample, n in ended)


def merged(found: Iterable[Unbounded]) -> tuple[Unbounded, ...]:
    """Those of several batches of samples, one for each name."""
    by_name: dict[str, Unbounded] = {}
    for one in found:
        other = by_name.get(one.name)
        if other is not None:
            early = min(one, other, key=lambda u: (u.sample, u.step))
            one = replace(early, count=one.count + other.count)
        by_name[one.name] = one
    return tuple(by_name.values())


def later_found(first: Iterable[Unbounded], then: Iterable[Unbounded], steps: int) -> tuple[Unbounded, ...]:
    """The states of two stretches of steps as those of one run; `steps` is the length of the first."""
    seen = {u.name: u for u in first}
    ended = [u.later(steps) for u in then]
    both = [
        replace(seen[u.name], count=u.count) if u.name in seen and seen[u.name].sample <= u.sample else u
        for u in ended
    ]
    return (*(u for name, u in seen.items() if name not in {b.name for b in both}), *both)


def in_run(kept: Mapping[str, Any], moments: Mapping[str, range] | None = None) -> tuple[Unbounded, ...]:
    """What is found in values that were kept, by name; `moments` are the steps of those that were not kept of
    every one.
    """
    found = (u for name, values in kept.items() for u in in_values(name, values))
    at = moments or {}
    return tuple(replace(u, step=at[u.name][u.step]) if u.name in at else u for u in found)


def unbounded_warnings(found: Iterable[Unbounded]) -> tuple[str, ...]:
    """What a user is to be told of it, if anything; earliest first."""
    ordered = sorted(found, key=lambda u: u.step)
    if not ordered:
        return ()
    parts = [f"{u.name}: {u.count:,}, first in sample {u.sample}, step {u.step}" for u in ordered[:SHOWN]]
    parts += [f"and {len(ordered) - SHOWN} more"] if len(ordered) > SHOWN else []
    return (
        f"values left the range of float32 (3.4e38) and are infinite or no number ({'; '.join(parts)}). "
        "Try: inputs or weights of smaller size",
    )
