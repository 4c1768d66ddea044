"""Laws of modulation: what a context c makes of the evidence r of a rate cell, before its rectifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log
from types import MappingProxyType
from typing import Any

from spikeflow.ir.ops import Ops

Law = Callable[[Any, Any, Any, Ops], Any]  # of the parameters, r, c and the operations


def _isolation(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r


def _additive(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r + c


def _kay_phillips(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return 0.5 * r * (1.0 + ops.exp(r * c))


def _linear(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r * (1.0 + c)


def _tanh_rc(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r * (1.0 + ops.tanh(r * c))


def _pow2(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r * ops.exp(log(2.0) * (r * c))


def _published_cooperation(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r * r + 2.0 * r + c * (1.0 + ops.abs(r))


def _cooperation(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return _published_cooperation(p, ops.maximum(r, -1.0), c, ops)


def _gate(p: Any, r: Any, c: Any, ops: Ops) -> Any:
    return r * (1.0 + ops.tanh(p.gain * c))


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "gate": _gate,
        "isolation": _isolation,
        "additive": _additive,
        "kay_phillips": _kay_phillips,
        "linear": _linear,
        "tanh_rc": _tanh_rc,
        "pow2": _pow2,
        "cooperation": _cooperation,
        "published_cooperation": _published_cooperation,
    }
)
