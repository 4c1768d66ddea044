"""Products whose values are quantised as they run, as products of real values with real weights.

::

    DynamicQuantizeLinear(x) -> MatMulInteger or ConvInteger -> Cast -> Mul by the scales     MatMul, Conv
    DynamicQuantizeMatMul, MatMulIntegerToFloat (onnxruntime's own)                           MatMul, Add

What is quantised stays as it was, with a scale of 1; weights of whole numbers get the values that they stand
for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spikeflow.convert.load.onnx.fused import Raw
from spikeflow.typing import Array

_PRODUCTS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
_FLOATS = (1, 10)


@dataclass(eq=False)
class Dynamic:
    """The nodes of a file one by one, and what such products of it become.

    Parameters
    ----------
    known : stored values; those of weights are added.
    readers : how many nodes read each value.
    found : the nodes so far.
    """

    known: dict[str, Array]
    readers: Counter[str]
    found: list[Raw] = field(default_factory=list)
    # the value in whose place a quantised one stands, and the name of its zero
    _real: dict[str, tuple[str, str]] = field(default_factory=dict)
    # for a sum of whole numbers, the place of its product among the nodes
    _sums: dict[str, int] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether there were such products."""
        return bool(self._real)

    def take(self, raw: Raw) -> bool:
        """Whether a node is a part of such a product, which then stands among those found."""
        kind = raw.kind
        if kind == "DynamicQuantizeLinear" and len(raw.writes) == 3:
            quantised, scale, zero = raw.writes
            self._real[quantised] = (raw.reads[0], zero)
            self.known[scale], self.known[zero] = np.ones((), np.float32), np.zeros((), np.uint8)
            return True
        if kind in _PRODUCTS and raw.domain != "com.microsoft":
            return self._product(raw)
        if raw.domain == "com.microsoft" and kind == "DynamicQuantizeMatMul":
            return self._whole(raw, raw.reads[0], (1, 2, 3), 4)
        if raw.domain == "com.microsoft" and kind == "MatMulIntegerToFloat" and raw.reads[0] in self._real:
            return self._whole(raw, self._real[raw.reads[0]][0], (1, 3, 5), 6)
        if kind == "Cast" and self._alone(raw.reads) is not None and raw.attributes.get("to") in _FLOATS:
            self._rename(raw.reads[0], raw.writes[0])
            return True
        return kind == "Mul" and len(raw.reads) == 2 and self._scaled(raw)

    def _product(self, raw: Raw) -> bool:
        reads = (*raw.reads, "", "")
        real, zero = self._real.get(reads[0], ("", ""))
        weight = self.known.get(reads[1])
        if not real or reads[2] != zero or weight is None:
            return False
        shift = self.known.get(reads[3]) if reads[3] else np.zeros((), weight.dtype)
        if shift is None:
            return False
        kind, name = _PRODUCTS[raw.kind], self._kept(reads[1])
        self.known[name] = weight.astype(np.float32) - _along(shift, weight, kind).astype(np.float32)
        self._sums[raw.writes[0]] = len(self.found)
        self.found.append(replace(raw, kind=kind, reads=(real, name)))
        return True

    def _whole(self, raw: Raw, x: str, weights: Sequence[int], bias: int) -> bool:
        """A product that ends in real values: its weight, scale and zero, and where its bias is."""
        names = [raw.reads[n] if n < len(raw.reads) else "" for n in (*weights, bias)]
        weight, scale = (self.known.get(name) for name in names[:2])
        shift = self.known.get(names[2]) if names[2] else np.zeros((), np.uint8)
        if weight is None or scale is None or shift is None:
            return False
        kept, (written, *_) = self._kept(names[0]), raw.writes
        self.known[kept] = (weight.astype(np.float32) - shift.astype(np.float32)) * scale
        inner = f"{written} without bias" if names[3] else written
        self.found.append(Raw(raw.name, "MatMul", (x, kept), (inner,)))
        if names[3]:
            self.found.append(Raw(f"{raw.name}.bias", "Add", (inner, names[3]), (written,)))
        return True

    def _scaled(self, raw: Raw) -> bool:
        """A sum times its scales, as the product of weights that have them."""
        for x, factor in (raw.reads, raw.reads[::-1]):
            at, scale = self._alone((x,)), self.known.get(factor)
            if at is None or scale is None:
                continue
            product = self.found[at]
            weight = self.known[product.reads[1]]
            spread = _of_targets(scale, weight, product.kind)
            if spread is None:
                continue
            self.known[product.reads[1]] = (weight * spread).astype(np.float32)
            self._rename(x, raw.writes[0])
            del self._sums[raw.writes[0]]
            return True
        return False

    def _alone(self, reads: Sequence[str]) -> int | None:
        """Where the product of a sum is that nothing else reads."""
        return self._sums.get(reads[0]) if self.readers[reads[0]] == 1 else None

    def _rename(self, old: str, new: str) -> None:
        at = self._sums.pop(old)
        self.found[at] = replace(self.found[at], writes=(new,))
        self._sums[new] = at

    def _kept(self, name: str) -> str:
        """A name for the real values of a weight, of which each product has its own."""
        name = name.removesuffix("_quantized")
        while name in self.known:
            name += "_"
        return name


def _along(shift: Array, weight: Array, kind: str) -> Array:
    """Zeros of outputs so that they broadcast against a weight."""
    return shift.reshape(-1, *[1] * (weight.ndim - 1)) if kind == "Conv" and shift.size > 1 else shift


def _of_targets(scale: Array, weight: Array, kind: str) -> Array | None:
    """Scales of a product's result as those of its weight; None where they are others'."""
    if scale.size == 1:
        return scale.reshape(())
    if kind == "MatMul":
        return scale.reshape(-1) if scale.shape[-1] == scale.size == weight.shape[-1] else None
    channels = scale.ndim - weight.ndim + 1  # where the channels of a result stand
    plain = scale.ndim >= weight.ndim - 1 and scale.shape[channels] == scale.size == weight.shape[0]
    return scale.reshape(-1, *[1] * (weight.ndim - 1)) if plain else None
