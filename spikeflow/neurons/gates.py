"""The gates of a two-point cell: what the apical potential does to the basal drive of the soma, in one step.

A gate is a function of the parameters, the basal current and the apical potential, written in `Ops`.
`TwoPointLIF` says which published cell each one is, and where it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from spikeflow.ir.ops import Ops

# slots of the surrogates, beside that of the spike itself, 0
PASS_SLOT, BURST_SLOT = 1, 2
# of `cooperation`, before it is halved
CLIP = 6.0


@dataclass(frozen=True)
class Gate:
    """How a drive is made, and which parameters that reads.

    Parameters
    ----------
    drive : of the parameters, the basal current, the apical potential and the operations.
    """

    drive: Callable[[Any, Any, Any, Ops], Any]
    reads: tuple[str, ...] = ()


def _isolation(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    return basal


def _gate(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    return basal * (1.0 + ops.tanh(p.gain * a))


def _amplify(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    return basal * (1.0 + p.strength * ops.sigmoid(p.gain * (a - p.apical_threshold)))


def _drive(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    return basal + p.strength * ops.tanh(a)


def _amplify_drive(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    return _amplify(p, basal, a, ops) + 0.5 * ops.tanh(a)


def _pass(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    # a product, not a selection: a selection hands no gradient to its condition
    return basal * ops.spike(a - p.apical_threshold, PASS_SLOT)


def _cooperation(p: Any, basal: Any, a: Any, ops: Ops) -> Any:
    # below -1 the law would rise again, and inhibition switch on
    r = ops.maximum(basal, -1.0)
    law = r * r + 2.0 * r + a * (1.0 + ops.abs(r))
    return 0.5 * ops.minimum(ops.maximum(law, -CLIP), CLIP)


GATES: Mapping[str, Gate] = MappingProxyType(
    {
        "gate": Gate(_gate, ("gain",)),
        "isolation": Gate(_isolation),
        "amplify": Gate(_amplify, ("gain", "strength", "apical_threshold")),
        "drive": Gate(_drive, ("strength",)),
        "amplify_drive": Gate(_amplify_drive, ("gain", "strength", "apical_threshold")),
        "pass": Gate(_pass, ("apical_threshold",)),
        "cooperation": Gate(_cooperation),
    }
)
