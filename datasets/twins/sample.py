"""One sample of a twin, as it is handed to what writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """One sample.

    Parameters
    ----------
    number : among those of its class and split, from 0.
    label : its class.
    group : its speaker or user; 0 where the set does not tell.
    content : Events, Sound, picture or values of taxels.
    """

    number: int
    label: int
    group: int
    content: Any


Splits = Mapping[str, Iterable[Sample]]  # samples of each split, made as they are asked for
