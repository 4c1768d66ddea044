"""Capture: a traced network to a graph of stage ann, with a verdict for every operation.

Every operation has its line in `_HANDLERS` or is refused by name: none is left out in silence. Refusals are
collected, a value of the right shape standing in for what a refused operation would give, and told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from spikeflow.convert.capture import (
    activations,
    arithmetic,
    averages,
    contracted,
    convolutions,
    levels,
    moves,
    pools,
    rectified,
    separable,
    shapes,
    synapses,
)
from spikeflow.convert.capture.approximations import handlers
from spikeflow.convert.capture.builder import Builder, Captured, Verdict
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.capture.heads import ERASED_SOFTMAX, final_function
from spikeflow.convert.capture.refusals import IN_PARTS, LISTED, REFUSED
from spikeflow.convert.rules import OperationRule, Rules, rule_of, taken
from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, Ref, as_array, base_name, read_by
from spikeflow.convert.trace.evaluate import MOST_VALUES, Allowance, Unknown, operation
from spikeflow.convert.trace.normal import is_listed
from spikeflow.convert.trace.operations import INTERPOLATIONS, LIKE_ANOTHER, MOVES, SIZES_ALONE
from spikeflow.convert.trace.samples_first import samples_first
from spikeflow.errors import ConversionError, ModelError, ShapeError, UnsupportedLayer, refused
from spikeflow.ir.nodes import Input, Output
from spikeflow.ir.record import OutputRecord

__all__ = ["Captured", "ERASED_SOFTMAX", "Verdict", "capture"]

NO_RULES: Rules = {}
Handler = Callable[[Builder, AtenNode], Value | None]
INPUT, OUTPUT = "input", "output"
# what a handler may run into where an archive's arguments are not those that torch writes
_MISFIT = (
    *(TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError, AssertionError),
    RuntimeError,  # of torch, which moves are asked of
)
_COMPUTE = "compute it before saving the network, and keep it as a buffer"

_PLAIN: Mapping[str, Handler] = {
    "linear": contracted.linear,
    **dict.fromkeys(("addmm", "baddbmm"), contracted.addmm),
    **dict.fromkeys(("mm", "matmul", "bmm", "mv"), contracted.matmul),
    "einsum": contracted.einsum,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolutions.convolve),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), convolutions.transpose),
    "convolution": convolutions.convolution,
    "batch_norm": synapses.batch_norm,
    "_native_batch_norm_legit_no_training": synapses.batch_norm,
    "native_batch_norm": synapses.batch_norm,
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), averages.avg_pool),
    **dict.fromkeys(
        (f"{mark}adaptive_avg_pool{axes}d" for mark in ("", "_") for axes in (1, 2, 3)),
        averages.adaptive_avg_pool,
    ),
    **dict.fromkeys(("mean", "sum"), averages.over_axes),
    "amax": averages.amax,
    **dict.fromkeys(
        (f"max_pool{axes}d{ending}" for axes in (1, 2, 3) for ending in ("", "_with_indices")), pools.max_pool
    ),
    **dict.fromkeys((f"adaptive_max_pool{axes}d" for axes in (1, 2, 3)), pools.adaptive_max_pool),
    **dict.fromkeys(INTERPOLATIONS, separable.interpolate),
    **dict.fromkeys(activations.FUNCTIONS, activations.activation),
    **dict.fromkeys(("prelu", "_prelu_kernel"), activations.prelu),
    **dict.fromkeys(("rrelu", "rrelu_with_noise"), activations.rrelu),
    "gelu": activations.gelu,
    "selu": activations.selu,
    "celu": activations.celu,
    "relu6": activations.relu6,
    "floor": levels.floor,
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max", "hardtanh"), rectified.clamp),
    **dict.fromkeys(("maximum", "fmax", "max"), rectified.maximum),
    **dict.fromkeys(("minimum", "fmin", "min"), rectified.minimum),
    "add": arithmetic.add,
    **dict.fromkeys(("sub", "subtract"), arithmetic.sub),
    "rsub": arithmetic.rsub,
    **dict.fromkeys(("mul", "multiply"), arithmetic.mul),
    **dict.fromkeys(("div", "divide", "true_divide"), arithmetic.div),
    **dict.fromkeys(("neg", "negative"), arithmetic.neg),
    "lerp": arithmetic.lerp,
    "addcmul": arithmetic.addcmul,
    **dict.fromkeys(("where", "masked_fill"), arithmetic.where),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax", "argmax"), arithmetic.head),
    **dict.fromkeys(MOVES, moves.move),
    **dict.fromkeys(("pad", "constant_pad_nd"), moves.pad),
    **dict.fromkeys(("cat", "concat", "stack", "hstack", "vstack", "dstack", "column_stack"), moves.joined),
    **dict.fromkeys(
        (f"{name}{rank}d" for name in ("upsample_nearest", "_upsample_nearest_exact") for rank in (1, 2, 3)),
        moves.upsample,
    ),
    "contiguous": shapes.erased,
    "clone": shapes.erased,
    "alias": shapes.erased,
    "detach": shapes.erased,
    "float": shapes.erased,
    "double": shapes.erased,
    "half": shapes.erased,
    "to": shapes.cast,
    "_to_copy": shapes.cast,
    "type_as": shapes.erased,
    "dropout": shapes.dropout,
    "feature_dropout": shapes.dropout,
    "alpha_dropout": shapes.dropout,
    "feature_alpha_dropout": shapes.dropout,
    "getitem": shapes.getitem,
}


_HANDLERS: Mapping[str, Handler] = {**_PLAIN, **handlers(_PLAIN)}


def capture(aten: AtenGraph, approximate: tuple[str, ...] = (), rules: Rules = NO_RULES) -> Captured:
    """The graph of stage ann of a traced network, and what became of each of its operations.

    Parameters
    ----------
    approximate : what may be taken of running means, words of `APPROXIMATIONS`.
    rules : of the user's own, by the name of the operation; they come before those that are known.

    Raises
    ------
    UnsupportedLayer
        For an operation without an exact counterpart; it names the module and what would help. Several are
        told at once, by `UnsupportedLayers`.
    ConversionError
        For NaN or infinite parameters, several inputs, or an output that is a constant.
    """
    b = surveyed(aten, approximate, rules)
    if b.refusals:
        raise refused(b.refusals)
    for number in range(len(b.aten.outputs)):
        _output(b, number)
    return b.finish()


def surveyed(aten: AtenGraph, approximate: tuple[str, ...] = (), rules: Rules = NO_RULES) -> Builder:
    """Every operation looked at, with the refusals among them, but no graph yet; see `capture`."""
    aten = samples_first(aten)
    b = Builder(aten, approximate)
    b.check_parameters()
    _check_ends(aten)
    name = b.place(INPUT, Input(tuple(aten.input_shapes[0][1:]), "current"))
    b.values[aten.inputs[0]] = name
    for node in aten.nodes:
        _take(b, node, rule_of(rules, node.op))
    return b


def _output(b: Builder, number: int) -> None:
    """An Output of the graph: `output`, or `output.NAME` where there are several."""
    refs, names = b.aten.outputs, b.aten.output_names
    name = (names[number] if number < len(names) else str(number)) or OUTPUT
    if refs[number].name not in b.values:
        title = "the output" if len(refs) == 1 else f"the output {name}"
        raise ConversionError(title, "does not depend on the input", "a network that computes something")
    made = b.chain(OUTPUT if len(refs) == 1 else f"{OUTPUT}.{name}", Output(), b.values[refs[number].name])
    final = final_function(b.aten, refs[number].name)
    b.outputs.append(OutputRecord(made.terms[0], name, mean=True, final=final))


def _check_ends(aten: AtenGraph) -> None:
    if len(aten.inputs) != 1:
        raise ConversionError("the network", f"has {len(aten.inputs)} inputs", "a forward() of one input")
    if not aten.outputs:
        raise ConversionError("the network", "returns no tensor", "a forward() that returns its outputs")
    if len(aten.input_shapes[0]) < 2:
        raise ConversionError(
            "the network",
            f"its input of shape {aten.input_shapes[0]} is no batch of samples",
            "an example of shape (batch, ...)",
        )


def _take(b: Builder, node: AtenNode, rule: OperationRule | None) -> None:
    try:
        if rule is not None and node.name in b.varying and not read_by(node) & b.lost:
            taken(rule, b, node)
            return
        if not is_listed(node) or (
            node.name in b.varying and base_name(node.op) not in (*_HANDLERS, *SIZES_ALONE)
        ):
            raise _unknown(b, node)
        if read_by(node) & b.lost:
            b.stand_in(node)  # the reason was told where its argument was refused
        elif node.name in b.varying and not _fixed(b, node):
            _handle(b, node)
        else:
            _constant(b, node)
    except ModelError as error:
        b.note(node, error)
        b.stand_in(node)


def _unknown(b: Builder, node: AtenNode) -> UnsupportedLayer:
    word = base_name(node.op)
    if word in REFUSED:
        kind, hint = REFUSED[word]
        return b.refuse(node, f"{kind} ({word})", hint)
    if node.layer in IN_PARTS:
        kind, hint = IN_PARTS[node.layer]
        return b.refuse(node, kind, hint)
    if not is_listed(node):
        hint = "replace it by listed operations, or convert the part of the network before it"
        return b.refuse(node, f"the operation {node.op[:100]}", hint)
    return b.refuse(node, word, LISTED)


def _handle(b: Builder, node: AtenNode) -> None:
    """One operation on values of the network."""
    word = base_name(node.op)
    try:
        value = _HANDLERS[word](b, node)
    except ShapeError as error:
        hint = "samples of the usual shape"
        raise UnsupportedLayer(
            b.title(node), f"{word} on these shapes ({error})", hint, node.layer
        ) from error
    except ModelError:
        raise
    except _MISFIT as error:
        hint = "the operations as torch.export writes them"
        raise UnsupportedLayer(b.title(node), f"{word} with these arguments", hint, node.layer) from error
    if value is not None:
        b.values[node.name] = value


def _fixed(b: Builder, node: AtenNode) -> bool:
    """Whether an operation gives a constant although it reads the input: it reads sizes alone, or what did.

    Its values are computed for the traced batch.
    """
    word = base_name(node.op)
    like = word in LIKE_ANOTHER and b.constant(node.args[0]) is not None
    alone = word in SIZES_ALONE or like
    if not alone and any(b.constant(Ref(name)) is None for name in read_by(node)):
        return False

    def value(argument: Any) -> Any:
        if isinstance(argument, tuple):
            return [value(item) for item in argument]
        if not isinstance(argument, Ref):
            return argument
        constant = b.constant(argument)
        if constant is None:
            return torch.zeros(b.full_shape(argument.name))
        return torch.from_numpy(np.array(constant))

    try:
        made = operation(node, value, Allowance(MOST_VALUES))
    except Unknown as reason:
        raise b.refuse(node, f"{word} ({reason})", _COMPUTE) from reason
    if not isinstance(made, torch.Tensor):
        return False
    b.arrays[node.name] = as_array(made)
    b.decide(node, "a constant")
    return True


def _constant(b: Builder, node: AtenNode) -> None:
    """An operation on constants only, which has been computed, or why it could not be."""
    if node.name in b.uncomputed:
        raise b.refuse(node, f"{base_name(node.op)} on constants ({b.uncomputed[node.name]})", _COMPUTE)
    b.decide(node, "a constant")
