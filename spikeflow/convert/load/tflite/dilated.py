"""Dilated convolutions, which TFLite's converter writes as plain ones on every n-th pixel.

::

    SPACE_TO_BATCH_ND (pads, n) -> [EXPAND_DIMS] -> CONV_2D -> [RESHAPE] -> BATCH_TO_SPACE_ND (crops, n)
    PAD               (pads)    -> [EXPAND_DIMS] -> CONV_2D of dilation n -> [RESHAPE] -> SLICE (crops)

The pixels of each of the n phases are samples of their own in the first form; their shapes are those of one
phase, so in the second all of space is n times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikeflow.files.tflite_model import LiteModel, LiteOperator, LiteTensor

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_BETWEEN = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE", "RELU", "RELU6")
_VALID = 1
_STEPS = ("StrideH", "StrideW", "DilationHFactor", "DilationWFactor")


def dilated(model: LiteModel) -> LiteModel:
    """The model with each such group as one dilated convolution; others stay, and are refused by name."""
    for operator in model.operators:
        if operator.kind == "SPACE_TO_BATCH_ND":
            group = _group(model, operator)
            model = model if group is None else _joined(model, group)
    return model


def _group(model: LiteModel, first: LiteOperator) -> list[LiteOperator] | None:
    """The operators up to the one that joins its phases again; None where others stand between."""
    found = [first]
    while found[-1].kind != "BATCH_TO_SPACE_ND":
        made = found[-1].writes[0]
        readers = [o for o in model.operators if made in o.reads]
        if len(readers) != 1 or readers[0].reads[0] != made or made in model.outputs:
            return None
        if not _fits(readers[0]):
            return None
        found.append(readers[0])
    stored = (model.tensors[o.reads[n]].values for o in (first, found[-1]) for n in (1, 2))
    return found if all(v is not None for v in stored) and _alike(model, found) else None


def _fits(operator: LiteOperator) -> bool:
    if operator.kind in _CONVOLUTIONS:
        ones = all(operator.options.get(key, 1) == 1 for key in _STEPS)
        return ones and operator.options.get("Padding", 0) == _VALID
    return operator.kind in (*_BETWEEN, "BATCH_TO_SPACE_ND")


def _alike(model: LiteModel, group: Sequence[LiteOperator]) -> bool:
    """Whether phases are joined as they were made, by shapes that are known."""
    made, undone = (np.asarray(model.tensors[o.reads[1]].values) for o in (group[0], group[-1]))
    inner = [model.tensors[o.writes[0]].shape for o in group[:-1]]
    known = all(len(s) in (3, 4) and min(s[1:]) > 0 for s in inner)
    return known and np.array_equal(made, undone) and made.size == len(inner[0]) - 2


def _joined(model: LiteModel, group: list[LiteOperator]) -> LiteModel:
    tensors: list[LiteTensor] = list(model.tensors)
    block = [int(n) for n in np.asarray(tensors[group[0].reads[1]].values).reshape(-1)]
    pads, crops = (
        [[0, 0], *np.asarray(tensors[o.reads[2]].values).reshape(-1, 2).tolist(), [0, 0]]
        for o in (group[0], group[-1])
    )
    made = list[LiteOperator]()
    for operator in group[:-1]:
        written = operator.writes[0]
        shape, factors = tensors[written].shape, _factors(tensors[written].shape, block)
        longer = (n * f for n, f in zip(shape[1:-1], factors, strict=True))
        tensors[written] = replace(tensors[written], shape=(shape[0], *longer, shape[-1]))
        if operator.kind in _CONVOLUTIONS:
            said = {**operator.options, "DilationHFactor": factors[0], "DilationWFactor": factors[1]}
            operator = replace(operator, options=said)
        made.append(operator)
    last, sizes = made[-1].writes[0], tensors[made[-1].writes[0]].shape
    lengths = [-1, *(n - a - b for n, (a, b) in zip(sizes[1:-1], crops[1:-1], strict=True)), -1]
    made[0] = replace(made[0], kind="PAD", reads=(made[0].reads[0], _kept(tensors, pads)), options={})
    reads = (last, _kept(tensors, [a for a, _ in crops]), _kept(tensors, lengths))
    made.append(LiteOperator("SLICE", reads, group[-1].writes))
    new = {old.writes[0]: operator for old, operator in zip(group, made, strict=True)}
    operators = tuple(new.get(o.writes[0], o) if o.writes else o for o in model.operators)
    return replace(model, tensors=tuple(tensors), operators=operators)


def _factors(shape: tuple[int, ...], block: list[int]) -> list[int]:
    """How much longer each axis of space is than that of a phase; an axis of 1 was put beside a line."""
    if len(shape) - 2 == len(block):
        return block
    return [1, *block] if shape[1] == 1 else [*block, 1]


def _kept(tensors: list[LiteTensor], numbers: Any) -> int:
    none = np.zeros(0, np.float32)
    values = np.array(numbers, np.int32)
    tensors.append(LiteTensor("", values.shape, np.int32, values, none, none))
    return len(tensors) - 1
