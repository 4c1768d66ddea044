"""A digest of what a run gave: equal where every bit is, whatever made it.

It covers values alone: threads, batches, cuts, instruction sets, engines and machines that agree give one
digest. A NaN counts as any NaN, since processors differ in which one they make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.typing import Array

AT_ONCE = 1 << 22  # values that are copied at a time


def digest_of(values: Mapping[str, Array | Spikes]) -> str:
    """SHA-256, as hexadecimal text, of named arrays and spikes; their order does not matter."""
    found = hashlib.sha256()
    for name in sorted(values):
        held = values[name]
        if isinstance(held, Spikes):
            found.update(f"{len(name)} {name} spikes {held.samples} {held.steps} {held.shape}\n".encode())
            for column in (held.sample, held.step, held.neuron):
                _add(found, column.astype(np.int64))
            _add(found, held.value)
        else:
            found.update(f"{len(name)} {name} {held.dtype.kind}{held.itemsize} {held.shape}\n".encode())
            _add(found, held)
    return found.hexdigest()


def _add(found: Any, values: Array) -> None:
    """The values in C order, little-endian, each NaN as the usual one."""
    flat = np.ascontiguousarray(values).reshape(-1)
    found.update(f"{flat.dtype.kind}{flat.itemsize} {flat.size}\n".encode())
    for first in range(0, flat.size, AT_ONCE):
        some = flat[first : first + AT_ONCE].astype(flat.dtype.newbyteorder("<"))
        if some.dtype.kind == "f":
            some[np.isnan(some)] = np.nan
        found.update(some.tobytes())
