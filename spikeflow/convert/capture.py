"""Capture: a traced network to a graph of stage ann, with a verdict for every operation.

Every operation has its line in `_HANDLERS` or is refused by name: none is left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spikeflow.convert import capture_arithmetic as arithmetic
from spikeflow.convert import capture_shapes as shapes
from spikeflow.convert import capture_synapses as synapses
from spikeflow.convert.aten import AtenGraph, AtenNode, base_name, refs
from spikeflow.convert.builder import Builder, Captured, Value, Verdict
from spikeflow.convert.capture_arithmetic import ERASED_SOFTMAX
from spikeflow.errors import ConversionError, ShapeError, UnsupportedLayer
from spikeflow.ir.nodes import Input, Output

__all__ = ["Captured", "ERASED_SOFTMAX", "Verdict", "capture"]

Handler = Callable[[Builder, AtenNode], Value | None]
INPUT, OUTPUT = "input", "output"

_HANDLERS: Mapping[str, Handler] = {
    "linear": synapses.linear,
    "addmm": synapses.addmm,
    "mm": synapses.matmul,
    "matmul": synapses.matmul,
    "conv2d": synapses.conv2d,
    "conv1d": synapses.conv1d,
    "convolution": synapses.convolution,
    "batch_norm": synapses.batch_norm,
    "_native_batch_norm_legit_no_training": synapses.batch_norm,
    "native_batch_norm": synapses.batch_norm,
    "avg_pool2d": synapses.avg_pool2d,
    "adaptive_avg_pool2d": synapses.adaptive_avg_pool2d,
    "_adaptive_avg_pool2d": synapses.adaptive_avg_pool2d,
    "mean": synapses.mean,
    "relu": arithmetic.relu,
    "clamp": arithmetic.clamp,
    "clamp_min": arithmetic.clamp,
    "hardtanh": arithmetic.clamp,
    "threshold": arithmetic.threshold,
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "rsub": arithmetic.rsub,
    "mul": arithmetic.mul,
    "div": arithmetic.div,
    "true_divide": arithmetic.div,
    "neg": arithmetic.neg,
    "softmax": arithmetic.softmax,
    "_softmax": arithmetic.softmax,
    "log_softmax": arithmetic.softmax,
    "_log_softmax": arithmetic.softmax,
    "flatten": shapes.reshape,
    "view": shapes.reshape,
    "reshape": shapes.reshape,
    "_unsafe_view": shapes.reshape,
    "unflatten": shapes.reshape,
    "squeeze": shapes.reshape,
    "unsqueeze": shapes.reshape,
    "view_as": shapes.reshape,
    "reshape_as": shapes.reshape,
    "contiguous": shapes.erased,
    "clone": shapes.erased,
    "alias": shapes.erased,
    "detach": shapes.erased,
    "float": shapes.erased,
    "to": shapes.cast,
    "_to_copy": shapes.cast,
    "type_as": shapes.erased,
    "dropout": shapes.dropout,
    "feature_dropout": shapes.dropout,
    "alpha_dropout": shapes.dropout,
    "feature_alpha_dropout": shapes.dropout,
    "slice": shapes.slice_,
    "split": shapes.parts,
    "split_with_sizes": shapes.parts,
    "chunk": shapes.parts,
    "getitem": shapes.getitem,
    "pad": shapes.pad,
    "constant_pad_nd": shapes.pad,
    "cat": shapes.cat,
    "concat": shapes.cat,
}

_MAX_POOL = "average pooling (retrain briefly); max pooling on spikes has no exact form here yet"
_LISTED = "linear, convolution, batch norm, average pooling, ReLU, addition, concatenation, slices, flatten"
_SMOOTH = "torch.nn.ReLU in its place, after retraining"
_NORM = "torch.nn.BatchNorm2d, whose statistics are constants after training"
_REFUSED: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        (
            "max_pool1d",
            "max_pool2d",
            "max_pool3d",
            "max_pool2d_with_indices",
            "max_pool3d_with_indices",
            "max_pool1d_with_indices",
            "adaptive_max_pool1d",
            "adaptive_max_pool2d",
            "adaptive_max_pool3d",
        ),
        ("max pooling", _MAX_POOL),
    ),
    **dict.fromkeys(
        (
            "layer_norm",
            "native_layer_norm",
            "group_norm",
            "native_group_norm",
            "instance_norm",
            "rms_norm",
            "local_response_norm",
        ),
        ("normalisation by the sample's own statistics", _NORM),
    ),
    **dict.fromkeys(
        (
            "sigmoid",
            "tanh",
            "gelu",
            "silu",
            "mish",
            "elu",
            "selu",
            "celu",
            "leaky_relu",
            "prelu",
            "_prelu_kernel",
            "relu6",
            "hardsigmoid",
            "hardswish",
            "softplus",
            "softsign",
            "log_sigmoid",
        ),
        ("this activation", _SMOOTH),
    ),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "bmm", "baddbmm", "einsum"),
        ("attention or a product of two values", "a network without attention"),
    ),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d"), ("a transposed convolution", "leave it out")),
    **dict.fromkeys(
        ("conv3d", "avg_pool3d", "adaptive_avg_pool3d"), ("a three-dimensional layer", "two dimensions")
    ),
    **dict.fromkeys(
        ("lstm", "gru", "rnn_tanh", "rnn_relu"),
        ("a recurrent layer", "spikeflow.neurons.Recurrent, trained as a spiking network"),
    ),
}


def capture(aten: AtenGraph) -> Captured:
    """The graph of stage ann of a traced network, and what became of each of its operations.

    Raises
    ------
    UnsupportedLayer
        For an operation without an exact counterpart; it names the module and what would help.
    ConversionError
        For NaN or infinite parameters, several inputs or outputs, or an output that is a constant.
    """
    b = Builder(aten)
    b.check_parameters()
    _check_ends(aten)
    name = b.place(INPUT, Input(tuple(aten.input_shapes[0][1:]), "current"))
    b.values[aten.inputs[0]] = name
    for node in aten.nodes:
        _take(b, node)
    if aten.outputs[0].name not in b.values:
        raise ConversionError(
            "the output", "does not depend on the input", "a network that computes something"
        )
    b.chain(OUTPUT, Output(), b.values[aten.outputs[0].name])
    return b.finish()


def _check_ends(aten: AtenGraph) -> None:
    for what, count in (("input", len(aten.inputs)), ("output", len(aten.outputs))):
        if count != 1:
            raise ConversionError("the network", f"has {count} {what}s", f"a forward() of one {what}")
    if len(aten.input_shapes[0]) < 2:
        raise ConversionError(
            "the network",
            f"its input of shape {aten.input_shapes[0]} is no batch of samples",
            "an example of shape (batch, ...)",
        )


def _take(b: Builder, node: AtenNode) -> None:
    word = base_name(node.op)
    used = [ref.name for ref in refs((node.args, tuple(node.kwargs.values())))]
    if not any(name in b.values or name in b.lists for name in used):
        b.constants[node.name] = _constant(b, node, word)
        b.judge(node, "a constant")
        return
    if word not in _HANDLERS:
        kind, hint = _REFUSED.get(word, (node.op, _LISTED))
        raise b.refuse(node, word if kind == node.op else f"{kind} ({word})", hint)
    try:
        value = _HANDLERS[word](b, node)
    except ShapeError as error:
        raise UnsupportedLayer(
            b.title(node), f"{word} on these shapes ({error})", "samples of the usual shape"
        ) from error
    if value is not None:
        b.values[node.name] = value


def _constant(b: Builder, node: AtenNode, word: str) -> Any:
    """An operation on constants only, computed now."""
    arrays = [b.constant(a) for a in node.args]
    first = arrays[0] if arrays else None
    if word in ("view", "reshape", "unsqueeze", "squeeze", "flatten", "_unsafe_view") and first is not None:
        return first.reshape(node.shape)
    if word in ("expand", "expand_as") and first is not None:
        return np.broadcast_to(first, node.shape)
    if word in ("contiguous", "clone", "alias", "detach", "to", "float", "_to_copy") and first is not None:
        return first
    if word in ("t", "numpy_T") and first is not None:
        return first.T
    if word == "transpose" and first is not None:
        return np.swapaxes(first, int(node.args[1]), int(node.args[2]))
    if word == "permute" and first is not None:
        return np.transpose(first, tuple(node.args[1]))
    if word in ("zeros", "ones", "zeros_like", "ones_like", "new_zeros", "new_ones"):
        return np.full(node.shape, 1.0 if "ones" in word else 0.0, np.float32)
    if word in _NUMERIC and first is not None and all(a is not None for a in arrays) and not node.kwargs:
        return _NUMERIC[word](*arrays)
    raise b.refuse(node, f"{word} on constants", "compute the constant before saving the network")


_NUMERIC: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "reciprocal": np.reciprocal,
    "square": np.square,
    "pow": np.power,
}
