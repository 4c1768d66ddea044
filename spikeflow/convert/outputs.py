"""Outputs of a conversion: which one answers, what each says, and what a user is to be told of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeflow.convert.options import ConvertOptions
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir import answer
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Permute
from spikeflow.ir.record import OutputRecord
from spikeflow.ir.score import checked_labels, doubts, score
from spikeflow.typing import Array

Outputs = tuple[OutputRecord, ...]


def described(outputs: Outputs, options: ConvertOptions, y: Array | None) -> tuple[Outputs, str]:
    """What is known of each output, and the name of the one that answers; empty where none of several was
    chosen.

    An output says what `options.answer` tells; labels with fractions make the one that answers a value.

    Raises
    ------
    ConversionError
        Where an option names an output that there is not.
    """
    names = [output.name for output in outputs]
    if options.output and options.output not in names:
        raise ConversionError(
            "--output", f"there is no output {options.output!r}", f"one of {', '.join(names)}"
        )
    chosen = options.output or (names[0] if len(names) == 1 else "")
    said = _said(options.answer, names, chosen)
    if chosen and chosen not in said and y is not None and y.dtype.kind == "f" and not doubts(y):
        said[chosen] = answer.VALUE
    return tuple(replace(output, answer=said.get(output.name, "")) for output in outputs), chosen


def _said(text: str, names: list[str], chosen: str) -> dict[str, str]:
    """``value``, or ``box=value,label=class``, by the name of the output."""
    found = {}
    for part in filter(None, text.split(",")):
        name, _, kind = part.rpartition("=")
        name = name or chosen
        if name not in names or kind not in (answer.CLASS, answer.VALUE):
            form = (
                "class or value"
                if len(names) == 1
                else f"NAME=class or NAME=value, a name of {', '.join(names)}"
            )
            raise ConversionError("--answer", f"{part!r} is not understood", form)
        found[name] = kind
    return found


def ann_accuracy(logits: Mapping[str, Array], y: Array | None, output: OutputRecord | None) -> float | None:
    """Accuracy of the network before conversion on the samples whose labels these are; None where there are
    none.

    Raises
    ------
    DataError
        Where labels do not fit the output, or no output was chosen for them.
    """
    if y is None:
        return None
    if output is None:
        raise DataError(
            "labels", f"labels for {len(logits)} outputs", "one output", "--output NAME, or output=NAME"
        )
    found = logits[output.node]
    return score(found, y, answer.kind_of(found.shape[1:], output.answer, y)).accuracy


def check_labels(y: Array | None, output: OutputRecord | None, shape: tuple[int, ...]) -> None:
    """Raise DataError where labels do not fit the output that answers."""
    if y is not None and output is not None:
        checked_labels(y, len(y), shape, answer.kind_of(shape, output.answer, y))


def output_warnings(logits: Mapping[str, Array], outputs: Outputs, y: Array | None) -> tuple[str, ...]:
    """Of outputs that may be taken for what they are not."""
    found = [] if y is None else list(doubts(y))
    for output in outputs:
        values = logits.get(output.node)
        if values is None or output.answer or answer.kind_of(values.shape[1:], "", y) != answer.SIGN:
            continue
        if len(values) > 1 and (np.all(values > 0) or np.all(values <= 0)):
            side = "above 0" if values.flat[0] > 0 else "0 or below"
            found.append(
                f"the one number of the output {output.name} is {side} for every calibration sample, so as a "
                "sign it gives one class to all. Try: --answer value, if it is a value"
            )
    return tuple(found)


def axis_warnings(graph: Graph, outputs: Outputs, y: Array | None) -> tuple[str, ...]:
    """Of maps whose classes, read along the first axis, are what a last layer put on another one, as a Linear
    of samples with several axes does.
    """
    found = []
    for output in outputs:
        shape = graph.shapes[output.node]
        at = _channels_at(graph, output.node)
        if at and answer.kind_of(shape, output.answer, y) == answer.MAP:
            found.append(
                f"the output {output.name} has the shape {shape}: classes are read along its first axis, and "
                f"its last layer puts what it tells apart on axis {at} (from 0). Try: .movedim({at + 1}, 1) "
                "at the end of forward(), as torch's cross_entropy takes it; or --answer value"
            )
    return tuple(found)


def _channels_at(graph: Graph, name: str) -> int:
    """At which axis of an output the channels of the layer before it end; 0 where no move comes between."""
    at, before = 0, graph.inputs_of(name)
    axes = tuple(range(len(graph.shapes[name])))
    while len(before) == 1 and isinstance(node := graph.nodes[before[0].src], Permute):
        axes = tuple(node.axes[axis] for axis in axes)
        at = axes.index(0)
        before = graph.inputs_of(before[0].src)
    return at
