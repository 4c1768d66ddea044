"""Heads: activations at the very end of a network that keep the order of its answers, and are left out.

An integrator adds up what stands before them; the largest stays the largest, and what lies above 0 stays
there, so neither a class nor its network needs another training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, Ref, base_name, read_by
from spikeflow.ir.answer import FINAL

ERASED_SOFTMAX = "erased: the largest logit stays the largest"
ERASED_HEAD = "erased: it keeps the order and the sign of the answers"

SOFTMAX = frozenset({"softmax", "_softmax", "log_softmax", "_log_softmax"})
_MONOTONE = frozenset({"sigmoid", "tanh", "leaky_relu", "elu", "selu", "celu"})
_MOVES = frozenset(
    {"squeeze", "unsqueeze", "flatten", "view", "reshape", "_unsafe_view", "contiguous", "clone"}
)


def heads(aten: AtenGraph) -> Mapping[str, str]:
    """The names of the operations at the end that may be left out, the last one first, each with its
    verdict.
    """
    found: dict[str, str] = {}
    for output in aten.outputs:
        found |= {node.name: verdict for node, verdict in chain(aten, output.name) if verdict}
    return found


def chain(aten: AtenGraph, output: str) -> list[tuple[AtenNode, str]]:
    """The operations at the end of one output up to the first that changes its answer, the last one first.

    Each with its verdict, empty for one that only moves values. What another output or operation reads too
    ends it.
    """
    made = {node.name: node for node in aten.nodes}
    readers = Counter(name for node in aten.nodes for name in read_by(node))
    readers.update(ref.name for ref in aten.outputs)
    found: list[tuple[AtenNode, str]] = []
    name = output
    while (node := made.get(name)) is not None and readers[name] == 1:
        verdict = _verdict(node, made[output])
        if not verdict and base_name(node.op) not in _MOVES:
            break
        found.append((node, verdict))
        first = node.args[0] if node.args else None
        name = first.name if isinstance(first, Ref) else ""
    return found


def _verdict(node: AtenNode, last: AtenNode) -> str:
    """What is said of an operation that may be left out; empty where it may not."""
    word = base_name(node.op)
    if word == "argmax":
        return ERASED_SOFTMAX if node is last and _along_classes(node, len(node.shape) + 1) else ""
    if word in SOFTMAX:
        # behind a map of classes nothing may follow that mixes its positions with its classes
        whole = prod(node.shape[2:]) == 1 or node.shape == last.shape
        return ERASED_SOFTMAX if whole and _along_classes(node, len(node.shape)) else ""
    slope = node.args[1] if len(node.args) > 1 else 1
    rises = isinstance(slope, int | float) and slope > 0
    return ERASED_HEAD if word in _MONOTONE and rises else ""


def _along_classes(node: AtenNode, rank: int) -> bool:
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return rank > 1 and type(dim) is int and -rank <= dim < rank and dim % rank == 1


def final_function(aten: AtenGraph, output: str) -> str:
    """The name of the function that was left out behind one output, one of ``answer.FINAL``."""
    left = [node for node, verdict in chain(aten, output) if verdict]
    if not left:
        return ""
    word = base_name(left[0].op).strip("_")
    return word if len(left) == 1 and word in FINAL else "other"
