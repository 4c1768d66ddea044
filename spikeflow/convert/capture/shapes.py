"""Operations that do nothing here: copies, casts between floating types, dropout, one of several results."""

from __future__ import annotations

from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode


def erased(b: Builder, node: AtenNode) -> Value:
    """The argument itself."""
    value = b.value(node, node.args[0])
    b.decide(node, "erased: identity", value)
    return value


def cast(b: Builder, node: AtenNode) -> Value:
    """The argument itself in another floating type: stage ann computes in float32 whatever the type."""
    types = [
        a
        for a in (*node.args[1:], node.kwargs.get("dtype"))
        if isinstance(a, str) and a.rstrip("0123456789") in ("int", "uint", "bool", "complex")
    ]
    if types:
        raise b.refuse(node, f"a change of type to {types[0]}", "floating-point values throughout")
    return erased(b, node)


def dropout(b: Builder, node: AtenNode) -> Value:
    """The argument itself, in evaluation mode."""
    if bool(argument(node, 2, "train", False)):
        raise b.refuse(node, "dropout in training mode", "model.eval()")
    value = b.value(node, node.args[0])
    b.decide(node, "erased: dropout does nothing in evaluation", value)
    return value


def getitem(b: Builder, node: AtenNode) -> Value:
    """One of several results."""
    source, index = node.args[0], int(node.args[1])
    if source.name in b.lists:
        part = b.lists[source.name][index]
        if part is None:
            raise b.refuse(node, "a part of no size", "parts that hold values")
        value = part
    elif index == 0:
        value = b.value(node, source)
    else:
        raise b.refuse(node, "a second result of an operation", "the first result only")
    b.decide(node, "erased: one of several results", value)
    return value
