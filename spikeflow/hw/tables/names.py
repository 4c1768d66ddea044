"""Names for nodes that are made: readable, legal and all different."""

from __future__ import annotations

from collections import abc

from spikeflow.ir.graph import MAX_NAME


class Names:
    """Names for new nodes: readable, legal and all different, however many begin alike.

    Parameters
    ----------
    taken : names that are given already.
    """

    def __init__(self, taken: abc.Iterable[str]) -> None:
        self.taken = set(taken)
        self.count: dict[str, int] = {}

    def new(self, wanted: str, ending: str = "") -> str:
        """`wanted` and `ending` where that is free; else the next number behind it. Long ones are cut in the
        middle.
        """
        name, first = _cut(wanted, ending), wanted + ending
        while name in self.taken:
            number = self.count[first] = self.count.get(first, 1) + 1
            name = _cut(wanted, f"{ending}#{number}")
        self.taken.add(name)
        return name


def _cut(wanted: str, ending: str) -> str:
    return wanted[: MAX_NAME - len(ending)] + ending
