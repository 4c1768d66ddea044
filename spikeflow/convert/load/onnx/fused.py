"""Activations that exporters write as several operators, each put together again under its own name.

::

    Mul(x, Sigmoid(x))                                     SiLU
    Mul(x, HardSigmoid(x)) with alpha 1/6, beta 1/2        hard swish
    x Clip(x + 3, 0, 6) / 6, in either order                hard swish
    Mul(x, Tanh(Softplus(x)))                              Mish
    x (1 + Erf(x / sqrt 2)) / 2, in any order of factors   GELU
    Where(x > 20, x, Softplus(x))                          softplus, which is x there to all digits of float32
    (x - mean) / Sqrt(mean of squares + eps)               layer norm, before its scale and shift

Only what nothing else reads is put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Raw:
    """A node as the file has it: its operator, the values it reads and writes, its attributes."""

    name: str
    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    domain: str = ""


def fused(nodes: Sequence[Raw], known: Mapping[str, Array], outputs: Sequence[str]) -> list[Raw]:
    """The nodes with each such group as one."""
    graph = _Graph(list(nodes), known, outputs)
    for node in nodes:
        found = (
            graph.silu(node)
            or _hard_swish(graph, node)
            or graph.gelu(node)
            or graph.norm(node)
            or graph.softplus(node)
        )
        if found is not None:
            graph.put(node, *found)
    return [node for node in graph.nodes if node.name not in graph.gone]


@dataclass(eq=False)
class _Graph:
    nodes: list[Raw]
    known: Mapping[str, Array]
    outputs: Sequence[str]
    gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.maker = {name: node for node in self.nodes for name in node.writes if name}
        self.readers: dict[str, int] = dict.fromkeys(self.outputs, 1)
        for node in self.nodes:
            for name in node.reads:
                self.readers[name] = self.readers.get(name, 0) + 1

    def put(self, last: Raw, new: Raw, inner: Sequence[Raw]) -> None:
        """A group's one node in the place of its last, unless a part of it is read elsewhere."""
        if any(self.readers[name] != self._within(name, (*inner, last)) for n in inner for name in n.writes):
            return
        self.nodes[self.nodes.index(last)] = new
        self.maker[new.writes[0]] = new
        self.gone |= {node.name for node in inner}

    def _within(self, name: str, group: Sequence[Raw]) -> int:
        return sum(node.reads.count(name) for node in group)

    def made(self, name: str, kind: str) -> Raw | None:
        """The node that makes a value, if it is of a kind."""
        found = self.maker.get(name)
        return found if found is not None and found.kind == kind else None

    def number(self, name: str) -> float | None:
        """A stored number."""
        found = self.known.get(name)
        return float(found.reshape(-1)[0]) if found is not None and found.size == 1 else None

    def other(self, node: Raw, number: float) -> str | None:
        """What a node of two inputs reads beside a stored number of about this value."""
        for a, b in (node.reads, node.reads[::-1]) if len(node.reads) == 2 else ():
            held = self.number(b)
            if held is not None and abs(held - number) < 1e-3 * abs(number):
                return a
        return None

    def silu(self, node: Raw) -> tuple[Raw, list[Raw]] | None:
        """SiLU, hard swish and Mish: a product of a value and a gate of the same value."""
        if node.kind != "Mul" or len(node.reads) != 2:
            return None
        for x, gate in (node.reads, node.reads[::-1]):
            if (made := self.made(gate, "Sigmoid")) and made.reads == (x,):
                return _as_one(node, "Swish", x), [made]
            if (made := self.made(gate, "HardSigmoid")) and made.reads == (x,) and _sixth(made):
                return _as_one(node, "HardSwish", x), [made]
            made = self.made(gate, "Tanh")
            inner = self.made(made.reads[0], "Softplus") if made is not None else None
            if made is not None and inner is not None and inner.reads == (x,):
                return _as_one(node, "Mish", x), [made, inner]
        return None

    def gelu(self, node: Raw) -> tuple[Raw, list[Raw]] | None:
        """GELU: x, 1/2 and 1 + erf(x / sqrt 2) multiplied in any order."""
        if node.kind != "Mul" or len(node.reads) != 2:
            return None
        for left, right in (node.reads, node.reads[::-1]):
            half = self.made(left, "Mul")
            if self.number(right) is not None and half is not None and self.other(node, 0.5):
                found = self._product(half.reads)  # (x (1 + erf)) / 2
                if found:
                    return _as_one(node, "Gelu", found[0]), [half, *found[1]]
            x = self.other(half, 0.5) if half is not None else None
            if x is not None and half is not None:  # (x / 2) (1 + erf), or x ((1 + erf) / 2)
                for a, b in ((x, right), (right, x)):
                    inner = self._erf(a, b)
                    if inner:
                        return _as_one(node, "Gelu", b), [half, *inner]
        return None

    def _product(self, reads: tuple[str, ...]) -> tuple[str, list[Raw]] | None:
        for x, gate in (reads, reads[::-1]) if len(reads) == 2 else ():
            inner = self._erf(gate, x)
            if inner:
                return x, inner
        return None

    def _erf(self, gate: str, x: str) -> list[Raw] | None:
        """The nodes of 1 + erf(x / sqrt 2)."""
        plus = self.made(gate, "Add")
        erf = self.made(self.other(plus, 1.0) or "", "Erf") if plus is not None else None
        inside = self.maker.get(erf.reads[0]) if erf is not None else None
        factor = {"Div": np.sqrt(2.0), "Mul": np.sqrt(0.5)}.get(inside.kind if inside is not None else "")
        if plus is None or erf is None or inside is None or factor is None:
            return None
        right = inside.reads[0] == x if inside.kind == "Div" else x in inside.reads
        return [plus, erf, inside] if right and self.other(inside, float(factor)) == x else None

    def norm(self, node: Raw) -> tuple[Raw, list[Raw]] | None:
        """A layer norm without scale and shift."""
        root = self.made(node.reads[1], "Sqrt") if node.kind == "Div" and len(node.reads) == 2 else None
        less = self.made(node.reads[0], "Sub") if root is not None else None
        plus = self.made(root.reads[0], "Add") if root is not None else None
        if less is None or root is None or plus is None:
            return None
        squares = next((m for name in plus.reads if (m := self.made(name, "ReduceMean"))), None)
        eps = next((n for name in plus.reads if (n := self.number(name)) is not None), None)
        mean, power = self.made(less.reads[1], "ReduceMean"), None
        if squares is not None:
            power = self.made(squares.reads[0], "Pow") or self.made(squares.reads[0], "Mul")
        if squares is None or eps is None or mean is None or power is None or mean.reads[0] != less.reads[0]:
            return None
        again = self.maker.get(power.reads[0])  # torch writes the difference once or twice
        if again is None or again.kind != "Sub" or again.reads != less.reads:
            return None
        axes = [self._axes(m) for m in (mean, squares)]
        square = power.kind == "Mul" or self.number(power.reads[1]) == 2
        if axes[0] is None or axes[0] != axes[1] or not square:
            return None
        said = {"axis": min(axes[0]), "epsilon": eps}
        new = replace(node, kind="LayerNormalization", reads=(less.reads[0],), attributes=said)
        inner = [less, root, plus, squares, mean, power, *([again] if again is not less else [])]
        return new, inner

    def softplus(self, node: Raw) -> tuple[Raw, list[Raw]] | None:
        """A softplus that is written as x where it is large."""
        if node.kind != "Where" or len(node.reads) != 3:
            return None
        above, smooth = self.made(node.reads[0], "Greater"), self.made(node.reads[2], "Softplus")
        x = node.reads[1]
        if above is None or smooth is None or smooth.reads != (x,) or above.reads[0] != x:
            return None
        limit = self.number(above.reads[1])
        plain = limit is not None and limit >= 17  # log(1 + exp(-17)) is less than half a digit of 17
        return (_as_one(node, "Softplus", x), [above, smooth]) if plain else None

    def _axes(self, node: Raw) -> list[int] | None:
        """Axes from the last one backwards without a gap, kept as axes of size 1."""
        found = node.attributes.get("axes")
        if found is None and len(node.reads) > 1:
            found = self.known.get(node.reads[1])
        axes = [] if found is None else sorted(int(n) for n in np.asarray(found).reshape(-1))
        plain = axes == list(range(-len(axes), 0)) and bool(axes)
        return axes if plain and node.attributes.get("keepdims", 1) == 1 else None


def _as_one(last: Raw, kind: str, x: str) -> Raw:
    return replace(last, kind=kind, reads=(x,), attributes={})


def _hard_swish(graph: _Graph, node: Raw) -> tuple[Raw, list[Raw]] | None:
    """x Clip(x + 3, 0, 6) / 6, divided before the product or after it."""
    product = graph.made(_sixth_of(graph, node) or "", "Mul")
    for x, gate in _both(product):
        if product is not None and (parts := _from_0_to_6(graph, gate, x)):
            return _as_one(node, "HardSwish", x), [product, *parts]
    for x, gate in _both(node if node.kind == "Mul" else None):
        scaled = graph.maker.get(gate)
        if scaled is not None and (parts := _from_0_to_6(graph, _sixth_of(graph, scaled) or "", x)):
            return _as_one(node, "HardSwish", x), [scaled, *parts]
    return None


def _sixth_of(graph: _Graph, node: Raw) -> str | None:
    """Of what a node makes a sixth."""
    if node.kind == "Mul":
        return graph.other(node, 1 / 6)
    found = graph.other(node, 6.0) if node.kind == "Div" else None
    return found if found == node.reads[0] else None


def _from_0_to_6(graph: _Graph, gate: str, x: str) -> list[Raw] | None:
    """The nodes of Clip(x + 3, 0, 6)."""
    clip = graph.made(gate, "Clip")
    plus = graph.made(clip.reads[0], "Add") if clip is not None else None
    if clip is None or plus is None or graph.other(plus, 3.0) != x:
        return None
    said: list[object] = [clip.attributes.get("min"), clip.attributes.get("max")]
    if len(clip.reads) == 3:
        said = [graph.number(name) for name in clip.reads[1:]]
    return [clip, plus] if said == [0.0, 6.0] else None


def _both(node: Raw | None) -> Sequence[tuple[str, ...]]:
    """Both orders of what a node of two inputs reads."""
    return (node.reads, node.reads[::-1]) if node is not None and len(node.reads) == 2 else ()


def _sixth(node: Raw) -> bool:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    return isinstance(alpha, float) and abs(alpha - 1 / 6) < 1e-6 and beta == 0.5
