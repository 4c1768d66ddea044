"""What is known of the values of a file while its nodes are read in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeflow.convert.load.onnx.fused import Raw
from spikeflow.convert.load.onnx.moves import MOVES
from spikeflow.convert.load.onnx.qlinear import ENDS, OF_VALUES
from spikeflow.convert.load.onnx.quantised import top_from_zero
from spikeflow.errors import UnsupportedLayer
from spikeflow.typing import Array

if TYPE_CHECKING:
    from onnx import ValueInfoProto

_NEVER_BELOW_ZERO = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Softplus")
_PASSING = ("MaxPool", "AveragePool", "GlobalAveragePool", "Reshape", "Flatten", "Transpose", "Concat")
_NARROW = (2, 3, 4, 5)  # ONNX's numbers of whole types of 8 and 16 bits
_STAY_WHOLE = ("Identity", "MaxPool", *(name for name in MOVES if not name.startswith("Reduce")))
_SIZES = ("Shape", "Size")

Codes = tuple[float, float]  # scale and zero of whole numbers


class Known:
    """What is known of values: which never lie below 0, which are stored or made of stored ones alone, which
    are samples that enter as whole numbers of few bits, and which are whole numbers in the file where here
    stands what they mean (`coded`, with scale and zero).
    """

    def __init__(self, stored: Mapping[str, Array], entries: Sequence[ValueInfoProto]) -> None:
        self.entries = {entry.name for entry in entries}
        self.whole = {entry.name for entry in entries if entry.type.tensor_type.elem_type in _NARROW}
        self.stored, self.rounds = stored, False
        self.positive, self.constant = set[str](), {"", *stored}
        self.coded: dict[str, Codes] = {}

    def note(self, node: Raw) -> None:
        """What follows of what a node writes."""
        reads, writes = set(node.reads), set(node.writes)
        below = node.kind in _PASSING and self.positive >= reads
        again = node.kind == "DequantizeLinear" and node.reads[0] in self.positive
        self.positive |= writes if below or again or node.kind in _NEVER_BELOW_ZERO else set()
        self.constant |= writes if reads and self.constant >= reads else set()
        self.whole |= writes if node.kind in _STAY_WHOLE and self.whole & reads else set()
        codes = self._made(node)
        if codes is not None and not writes <= self.constant:
            self.coded |= dict.fromkeys(node.writes, codes)

    def _made(self, node: Raw) -> Codes | None:
        """Scale and zero of what a node writes, where these are whole numbers in the file."""
        if node.kind in (*_STAY_WHOLE, "Resize"):
            return self.coded.get(node.reads[0])
        at = 1 if node.kind == "QuantizeLinear" else ENDS.get(node.kind)
        if at is None or node.reads[0] in self.constant - {""} and node.kind == "QuantizeLinear":
            return None
        self.rounds = True
        scale, zero = (self.stored.get(node.reads[n]) if n < len(node.reads) else None for n in (at, at + 1))
        if top_from_zero(scale, zero) is not None:
            self.positive |= set(node.writes)
        return None if scale is None or scale.size != 1 else (_one(scale), _one(zero))

    def of(self, raw: Raw) -> dict[str, Any]:
        """The same of what a node reads, for those that ask for it.

        Raises
        ------
        UnsupportedLayer
            For arithmetic on whole numbers of few bits.
        """
        whole = bool(self.whole & set(raw.reads))
        takes = raw.kind in OF_VALUES or raw.kind in ("Cast", "DequantizeLinear", *_STAY_WHOLE, *_SIZES)
        if whole and not takes:
            what = f"the ONNX operator {raw.kind[:60]} on samples of 8 or 16 bits"
            raise UnsupportedLayer(raw.name, what, "a Cast to float before it", raw.kind)
        said: dict[str, Any] = {"whole": tuple(name in self.whole for name in raw.reads)}
        if set(raw.reads) & self.coded.keys():
            said |= self._of_codes(raw)
        first = raw.reads[0] if raw.reads else ""
        # behind a rectifier, or of the data, no clip is needed
        operands = OF_VALUES.get(raw.kind, lambda _: (0,))(len(raw.reads)) if raw.reads else (0,)
        rectified = all(raw.reads[n] in self.positive for n in operands)
        rectified |= raw.kind == "QuantizeLinear" and first in self.entries
        return said | {"rectified": rectified, "constant": first in self.constant}

    def _of_codes(self, raw: Raw) -> dict[str, Any]:
        """Of whole numbers in whose place real values stand: is the scale that a node reads theirs?"""
        if raw.kind in _SIZES:
            return {}
        if raw.kind in (*_STAY_WHOLE, "Resize"):
            codes = {self.coded.get(name) for name in (raw.reads if raw.kind == "Concat" else raw.reads[:1])}
            if len(codes) > 1:
                raise _refuse(raw, "of 8-bit values of several scales")
            return {"codes": codes.pop()}
        if raw.kind not in OF_VALUES and raw.kind != "DequantizeLinear":
            raise _refuse(raw, "on 8-bit values")
        for n in OF_VALUES.get(raw.kind, lambda _: (0,))(len(raw.reads)):
            codes = self.coded.get(raw.reads[n])
            if codes is not None and not self._same(codes, raw.reads[n + 1 : n + 3]):
                raise _refuse(raw, "that reads 8-bit values by another scale than they were written with")
        return {}

    def _same(self, codes: Codes, names: tuple[str, ...]) -> bool:
        scale = self.stored.get(names[0]) if names else None
        zero = self.stored.get(names[1]) if len(names) > 1 else None
        plain = scale is not None and scale.size == 1 and (zero is None or zero.size == 1)
        return plain and np.allclose(codes, (_one(scale), _one(zero)), rtol=1e-5, atol=0)


def _one(value: Array | None) -> float:
    return 0.0 if value is None else float(value.reshape(-1)[0])


def _refuse(raw: Raw, what: str) -> UnsupportedLayer:
    hint = "quantize_static(..., quant_format=QuantFormat.QDQ), or the file in floats"
    return UnsupportedLayer(raw.name, f"the ONNX operator {raw.kind[:60]} {what}", hint, raw.kind)
