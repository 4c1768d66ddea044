"""A node of an ONNX graph as plain values, and what its operator is refused with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.errors import UnsupportedLayer
from spikeflow.typing import Array

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Node:
    """One node.

    Parameters
    ----------
    reads : the name of each input; empty for those left out.
    known : the values of each input that is stored in the file; None for others.
    asked : for each output, whether something reads it.
    opset : the version of the operators.
    batch : the number of samples that the file's input declares; None where it is left open.
    """

    name: str
    kind: str
    attributes: Mapping[str, Any]
    reads: tuple[str, ...]
    known: tuple[Array | None, ...]
    asked: tuple[bool, ...]
    opset: int
    batch: int | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(key, default)

    def stored(self, index: int) -> Array | None:
        """The values of an input, where they are stored."""
        return self.known[index] if index < len(self.known) else None

    def constant(self, index: int) -> Array | None:
        """The values of an input that has to be stored; None where it is left out."""
        found = self.stored(index)
        if found is None and index < len(self.reads) and self.reads[index]:
            raise self.refuse(f"whose input {index} is no stored value", "a constant in its place")
        return found

    def number(self, index: int, default: float) -> float:
        """The one number of an input that has to be stored; the default where it is left out."""
        found = self.constant(index)
        if found is not None and found.size != 1:
            raise self.refuse(f"whose input {index} is more than one number", "one number")
        return default if found is None else float(found.reshape(-1)[0])

    def refuse(self, what: str, hint: str) -> UnsupportedLayer:
        """The error for a form of this operator that is not taken."""
        return UnsupportedLayer(self.name, f"the ONNX operator {self.kind} {what}".strip(), hint, self.kind)

    def expect_first_output(self) -> None:
        """Refuse a second result that something reads."""
        if any(self.asked[1:]):
            raise self.refuse("whose second result is read", "a network that reads its first result only")

    def integers(self, key: str) -> tuple[int, ...] | None:
        """An attribute of whole numbers."""
        found = self.get(key)
        return None if found is None else tuple(int(n) for n in np.atleast_1d(found))
