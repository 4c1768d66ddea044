"""A traced network as plain data: one record for networks traced here and for archives of torch.export.

`from_module` traces with torch; `archive.read_archive` reads a file without torch. Both give the nodes as
torch names them, and `normalised` brings them to one form: operations that change a value in place become
ordinary ones, checks and size arithmetic go, sizes are numbers (those of the example, batch included).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from spikeflow.errors import ConversionError, UnsupportedLayer

_WORD = re.compile(r"aten\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")
GETITEM = "getitem"

# Whatever capture may want to give a meaning to, or to refuse by name. None of them is run from a file.
_OPERATIONS = """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d convolution linear addmm matmul mm bmm
    batch_norm instance_norm layer_norm group_norm rms_norm native_layer_norm native_group_norm
    native_batch_norm _native_batch_norm_legit_no_training local_response_norm
    relu relu6 hardtanh leaky_relu prelu _prelu_kernel elu selu celu gelu silu mish sigmoid tanh hardsigmoid
    hardswish softplus softsign log_sigmoid threshold softmax log_softmax _softmax _log_softmax
    avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_pool2d_with_indices
    max_pool3d_with_indices max_pool1d_with_indices adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    flatten unflatten view reshape _unsafe_view view_as reshape_as permute transpose swapaxes movedim t
    numpy_T squeeze unsqueeze expand expand_as repeat contiguous clone to _to_copy type_as float double half
    cat concat stack split split_with_sizes chunk unbind slice select index_select narrow index gather flip
    roll
    pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
    add sub rsub mul div true_divide floor_divide neg pow square exp log sqrt rsqrt reciprocal abs sign
    clamp clamp_min clamp_max minimum maximum where mean sum prod amax amin max min argmax argmin var std norm
    floor ceil round gt ge lt le eq ne logical_and logical_or logical_not
    dropout feature_dropout alpha_dropout feature_alpha_dropout
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d upsample_bilinear2d
    upsample_linear1d upsample_bicubic2d pixel_shuffle pixel_unshuffle channel_shuffle
    zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full arange scalar_tensor
    einsum baddbmm scaled_dot_product_attention embedding lstm gru rnn_tanh rnn_relu
"""
OPERATIONS = frozenset(_OPERATIONS.split())

# The result may share values with the argument.
_VIEWED = """
    flatten unflatten view reshape view_as reshape_as permute transpose swapaxes movedim t numpy_T squeeze
    unsqueeze expand expand_as contiguous to type_as float double half split split_with_sizes chunk unbind
    slice select narrow pad _unsafe_view getitem
"""
_VIEWS = frozenset(_VIEWED.split())
# The result is the argument itself, under a second name; the first four leave no node at all.
_IDENTITY = frozenset({"detach", "alias", "lift_fresh", "lift_fresh_copy"})
_SAME = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
# Where the flag stands that makes an operation behave as in training.
_TRAINING = {
    "batch_norm": 5,
    "dropout": 2,
    "feature_dropout": 2,
    "alpha_dropout": 2,
    "feature_alpha_dropout": 2,
}
_DROPPED = re.compile(r"_?assert.*|sym_(size|stride|numel|storage_offset|constrain_range.*)")
_INPLACE_HINT = "use the operation that returns a new value (inplace=False, no += on a slice)"


@dataclass(frozen=True)
class Ref:
    """Stands in an argument for the value of that name."""

    name: str


@dataclass(frozen=True)
class AtenNode:
    """One operation: `op` as torch names it ("aten.conv2d.default"; "getitem" picks one of several results).

    `args` and `kwargs` hold `Ref`, numbers, bools, None, strings, and tuples of these; number types, layouts
    and memory formats are strings. `module` is the user's module ("layer1.0.conv1", "" where unknown).
    `shape` is that of the result, batch included; () for several results.
    """

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class AtenGraph:
    """Operations in order, with the tensors they read.

    `inputs` are the user's inputs and `input_shapes` their shapes with the example's batch;
    `dynamic_batch` says that torch traced the first input for any batch. `tensors` holds parameters, buffers
    and constants by graph name, `parameter_names` the user's name of each.
    """

    nodes: tuple[AtenNode, ...]
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[Ref, ...]
    tensors: Mapping[str, npt.NDArray[Any]]
    parameter_names: Mapping[str, str]
    dynamic_batch: bool = False


def refs(value: Any) -> Iterator[Ref]:
    """Every `Ref` within an argument."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from refs(item)


def base_name(op: str) -> str:
    """`conv2d` of `aten.conv2d.default`, without the underscore of an operation in place."""
    match = _WORD.fullmatch(op)
    word = match.group(1) if match else op
    return word[:-1] if word.endswith("_") and not word.endswith("__") else word


def normalised(graph: AtenGraph) -> AtenGraph:
    """The same network without operations in place, checks, identities and unused values.

    Raises
    ------
    UnsupportedLayer
        An operation outside the list.
    ConversionError
        An operation in place changes a value that is also seen through a view.
    """
    flow = _Flow(graph)
    nodes = [kept for number, node in enumerate(graph.nodes) if (kept := flow.take(number, node)) is not None]
    outputs = tuple(cast(Ref, flow.current(ref)) for ref in graph.outputs)
    return _alive(replace(graph, nodes=tuple(nodes), outputs=outputs))


class _Flow:
    """Which name a value goes by now, and which names may share its memory."""

    def __init__(self, graph: AtenGraph) -> None:
        self.stored = frozenset(graph.tensors)
        self.renamed: dict[str, Ref] = {}
        self.memory: dict[str, str] = {}  # name -> first name of the values it may share
        self.exact: dict[str, str] = {}  # name -> first name of exactly the same values
        self.sharing: dict[str, list[str]] = {}  # first name -> every name that may share it
        self.last_use: dict[str, int] = {}
        for number, node in enumerate(graph.nodes):
            for ref in refs((node.args, tuple(node.kwargs.values()))):
                self.last_use[ref.name] = number
        for ref in graph.outputs:
            self.last_use[ref.name] = len(graph.nodes)

    def current(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.renamed.get(value.name, value)
        return tuple(self.current(item) for item in value) if isinstance(value, tuple) else value

    def take(self, number: int, node: AtenNode) -> AtenNode | None:
        """The node in ordinary form, or None when nothing of it remains."""
        base = base_name(node.op)
        if _DROPPED.fullmatch(base):
            return None
        in_place = node.op.split(".")[1].endswith("_") if "." in node.op else False
        source = node.args[0].name if node.args and isinstance(node.args[0], Ref) else None
        if base in _IDENTITY and source is not None:
            if base != "lift_fresh_copy":
                self._share(node.name, source, exactly=True)
            self.renamed[node.name] = self.current(node.args[0])
            return None
        _check_listed(node, base)
        plain = replace(
            node,
            op=node.op.replace(f".{base}_.", f".{base}.") if in_place else node.op,
            args=self.current(node.args),
            kwargs={key: self.current(value) for key, value in node.kwargs.items()},
        )
        if source is not None and (in_place or base in _VIEWS or base in _SAME):
            self._share(node.name, source, exactly=in_place or base in _SAME)
        if in_place and source is not None:
            self._overwrite(number, node, source)
        return plain

    def _share(self, name: str, source: str, exactly: bool) -> None:
        memory = self.memory.setdefault(source, source)
        self.memory[name] = memory
        self.exact.setdefault(source, source)
        self.exact[name] = self.exact[source] if exactly else name
        names = self.sharing.setdefault(memory, [memory])
        names.append(name)

    def _overwrite(self, number: int, node: AtenNode, source: str) -> None:
        """From here on, every name of the changed value means the new one; views of it cannot be followed."""
        if self.memory[source] in self.stored:
            hint = f"model.eval() before torch.export.export; or {_INPLACE_HINT}"
            raise ConversionError(node.module or node.name, "it changes a stored tensor while it runs", hint)
        for name in self.sharing[self.memory[source]]:
            if self.exact.get(name, name) == self.exact[source]:
                if name != node.name:
                    self.renamed[name] = Ref(node.name)
            elif self.last_use.get(name, -1) > number:
                reason = f"{node.op} changes values in place that are also read through a view"
                raise ConversionError(node.module or node.name, reason, _INPLACE_HINT)


def _check_listed(node: AtenNode, base: str) -> None:
    if node.op == GETITEM:
        return
    match = _WORD.fullmatch(node.op)
    if match is None or base not in OPERATIONS or match.group(2).endswith("out"):
        hint = "replace it by listed operations, or convert the part of the network before it"
        raise UnsupportedLayer(node.module or node.name, f"the operation {node.op[:100]}", hint)
    flag = _TRAINING.get(base)
    if flag is not None and len(node.args) > flag and node.args[flag] is True:
        reason = f"its {base} runs as in training"
        raise ConversionError(node.module or node.name, reason, "model.eval() before torch.export.export")


def _alive(graph: AtenGraph) -> AtenGraph:
    """Without nodes and tensors that no output needs."""
    needed = {ref.name for ref in graph.outputs}
    nodes: list[AtenNode] = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            nodes.append(node)
            needed.update(ref.name for ref in refs((node.args, tuple(node.kwargs.values()))))
    made = {node.name for node in nodes} | graph.tensors.keys() | set(graph.inputs)
    if lost := sorted(needed - made):
        raise ConversionError(
            lost[0], "its value is used and no listed operation makes it", "a plain forward()"
        )
    tensors = {name: array for name, array in graph.tensors.items() if name in needed}
    names = {name: graph.parameter_names[name] for name in tensors}
    return replace(graph, nodes=tuple(reversed(nodes)), tensors=tensors, parameter_names=names)


def as_array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Contiguous numpy copy; bfloat16, which numpy lacks, becomes float32."""
    plain = tensor.detach().to("cpu")
    plain = plain.to(torch.float32) if plain.dtype is torch.bfloat16 else plain
    return np.array(plain.numpy(), order="C", copy=True)


def from_module(module: nn.Module, example: torch.Tensor) -> AtenGraph:
    """Trace a module in evaluation mode on an example with a batch dimension.

    The batch is left open where the module allows it; an example of one sample is doubled first, because
    torch takes a size of 1 for fixed. The module is left in evaluation mode.

    Raises
    ------
    ConversionError
        torch cannot trace the module.
    UnsupportedLayer
        It holds an operation outside the list.
    """
    if example.ndim > 0 and example.shape[0] == 1:
        example = torch.cat([example, example])
    program = _exported(module.eval(), example)
    return normalised(_as_graph(program))


def _exported(module: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    name = type(module).__name__
    try:
        with torch.no_grad():
            shapes = ({0: torch.export.Dim.AUTO},)
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as open_batch:  # torch raises errors of many kinds, and the user's own code may too
        try:
            with torch.no_grad():
                return torch.export.export(module, (example,), strict=False)
        except Exception as fixed:
            words = (str(fixed).strip() or str(open_batch).strip() or type(fixed).__name__).splitlines()[0][
                :200
            ]
            hint = (
                "a forward() of one tensor, without branches on values; or an example of the shape it expects"
            )
            raise ConversionError(name, f"torch.export cannot trace it ({words})", hint) from fixed


def _as_graph(program: torch.export.ExportedProgram) -> AtenGraph:
    """The exported program as it stands, values replaced by names."""
    signature = program.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        changed = next(iter({**signature.buffers_to_mutate, **signature.user_inputs_to_mutate}.values()))
        raise ConversionError(
            str(changed), "the network changes it while it runs", "a network without memory"
        )
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    stored |= signature.inputs_to_lifted_tensor_constants
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = tuple(name for name in signature.user_inputs if isinstance(values.get(str(name)), torch.Tensor))
    sources = {**dict(program.constants), **dict(program.state_dict)}
    return AtenGraph(
        nodes=tuple(_node(node) for node in program.graph.nodes if node.op in ("call_function", "get_attr")),
        inputs=cast("tuple[str, ...]", inputs),
        input_shapes=tuple(_shape(values[cast(str, name)]) for name in inputs),
        outputs=tuple(_outputs(program)),
        tensors={name: as_array(sources[target]) for name, target in stored.items()},
        parameter_names=stored,
        dynamic_batch=bool(inputs) and _is_open(values[cast(str, inputs[0])]),
    )


def _outputs(program: torch.export.ExportedProgram) -> Iterator[Ref]:
    for name in program.graph_signature.user_outputs:
        if not isinstance(name, str):
            raise ConversionError("the output", "it is a constant", "a forward() that returns tensors")
        yield Ref(name)


def _is_open(value: torch.Tensor) -> bool:
    batch = value.shape[0] if value.ndim else 0
    return isinstance(batch, torch.SymInt) and batch.node.maybe_as_int() is None


def _shape(value: object) -> tuple[int, ...]:
    return tuple(_number(size) for size in value.shape) if isinstance(value, torch.Tensor) else ()


def _number(value: Any) -> Any:
    """The example's number for a size that torch left open."""
    return value.node.hint if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool) else value


def _node(node: torch.fx.Node) -> AtenNode:
    target = node.target
    is_operation = isinstance(target, torch._ops.OpOverload)
    if not is_operation and not isinstance(node.meta.get("val"), torch.Tensor):
        op = "aten.sym_size.int"  # arithmetic on sizes, of which the number is known
    else:
        op = str(target) if is_operation else GETITEM if getattr(target, "__name__", "") == GETITEM else "?"
    if is_operation and not op.startswith("aten."):
        raise UnsupportedLayer(
            _module(node) or node.name, f"the operation {op}", "operations of torch itself"
        )
    kwargs = {key: _argument(value) for key, value in node.kwargs.items()}
    args = tuple(_argument(value) for value in node.args)
    return AtenNode(node.name, op, args, kwargs, _module(node), _shape(node.meta.get("val")))


def _module(node: torch.fx.Node) -> str:
    """Path of the innermost module; torch marks repeated calls with @1, @2."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(list(stack.values())), ("", ""))[0]
    return module_path(str(path))


def module_path(path: str) -> str:
    """The user's module path of what torch notes down, or "" where it is none."""
    path = re.sub(r"@\d+", "", path)
    plain = path.isprintable() and len(path) < 1000 and not path.startswith("_empty_nn_module")
    return path if plain else ""


_PLAIN: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (torch.dtype, lambda value: str(value).removeprefix("torch.")),
    (torch.layout, lambda value: str(value).removeprefix("torch.")),
    (torch.memory_format, lambda value: str(value).removeprefix("torch.")),
    (torch.device, lambda value: value.type),
)


def _argument(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        known = value.meta.get("val")
        is_value = isinstance(known, torch.Tensor | list | tuple) or known is None
        return Ref(value.name) if is_value else _number(known)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_argument(item) for item in value)
    for kind, words in _PLAIN:
        if isinstance(value, kind):
            return words(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    number = _number(value)
    return number if isinstance(number, bool | int | float) else str(value)[:100]
