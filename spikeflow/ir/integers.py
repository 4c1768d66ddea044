"""Integers: for which chip the numbers of a graph at stage fixed were made, and from which network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Integers:
    """What the integers of a graph mean: the same numbers are another network on a chip that computes
    otherwise.

    Parameters
    ----------
    chip : name of the chip.
    semantics : digest of how that chip computes, `hw.chip.Chip.semantics`; empty where it is not known.
    origin : digest of the float graph that was quantised; empty where it is not known.
    """

    chip: str
    semantics: str = ""
    origin: str = ""
