"""Builder: the graph of stage ann while it grows, and what happened to every operation.

A value of the user's network is a tuple of graph nodes whose values add up: an addition of branches makes no
node, its readers connect every branch to their port.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from spikeflow.convert.capture.draft import Draft, Value
from spikeflow.convert.capture.heads import ERASED_HEAD, final_function, heads
from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, Ref, as_array, base_name
from spikeflow.convert.trace.evaluate import constants, dependent
from spikeflow.errors import ConversionError, ModelError, SpikeflowError, UnsupportedLayer
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input
from spikeflow.ir.record import OutputRecord
from spikeflow.typing import Array

BATCH_NORM = "batch norm"  # until folding says where it went
MAX_POOL = "max pooling"  # until it is known what it counts
SPIKING, EXACT, APPROXIMATED, KEPT_ANALOG, REFUSED = WORDS = (
    "spiking",
    "exact",
    "approximated",
    "kept analog",
    "refused",
)


@dataclass(frozen=True)
class Verdict:
    """What became of one operation of the user's network.

    Parameters
    ----------
    module : the user's path of the module that it belongs to.
    operation : as torch names it.
    verdict : in words for people: "spiking", "synapses", "folded into ...", "erased: ...". One that is not
        exact begins with its word of `WORDS`, and with the bound of its error where it has one:
        "approximated (error at most 0.01): ...".
    node : the graph node that stands for it; empty where there is none.
    """

    module: str
    operation: str
    verdict: str
    node: str = ""

    @property
    def word(self) -> str:
        """One of `WORDS`."""
        return next((word for word in WORDS if self.verdict.startswith(word)), EXACT)

    @property
    def parts(self) -> tuple[str, str]:
        """The word with its bound, and how it was done, for a table."""
        if not self.verdict.startswith(WORDS):
            return EXACT, self.verdict
        word, _, how = self.verdict.partition(": ")
        return word, how

    def to_json(self) -> dict[str, str]:
        """The same as plain values."""
        return {**asdict(self), "word": self.word}


@dataclass(frozen=True)
class Captured:
    """A network as a graph of stage ann.

    Parameters
    ----------
    verdicts : one for each operation of the network, in their order.
    heads : operations at the end that were left out, the last one first, by the name that torch gives them.
    warnings : what the user should know of it.
    outputs : each output of the network in its order: node, name, and what was left out behind it.
    """

    graph: Graph
    verdicts: tuple[Verdict, ...]
    heads: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    outputs: tuple[OutputRecord, ...] = ()


class Builder(Draft):
    """Nodes, edges, verdicts and the values known so far, by the name that torch gives them."""

    def __init__(self, aten: AtenGraph, approximate: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.aten, self.approximate = aten, approximate
        self.verdicts: dict[str, Verdict] = {}
        self.values: dict[str, Value] = {}
        self.lists: dict[str, tuple[Value | None, ...]] = {}  # None is a part of no size
        self.constants, self.uncomputed = constants(aten)
        self.arrays: dict[str, Array] = dict(aten.tensors)
        self._full = {node.name: tuple(node.shape) for node in aten.nodes}
        self._full |= {n: tuple(s) for n, s in zip(aten.inputs, aten.input_shapes, strict=True)}
        self.varying = dependent(aten, aten.inputs)
        self.heads = heads(aten)
        self.outputs: list[OutputRecord] = []
        self.refusals: list[ModelError] = []
        self._refused: set[str] = set()
        self.lost: set[str] = set()  # names of values that a refused operation would have made
        paths = {node.module for node in aten.nodes}
        self._containers = {path[:end] for path in paths for end in range(len(path)) if path[end] == "."}

    @property
    def batch(self) -> int:
        """The number of samples in the example that was traced."""
        return self.aten.input_shapes[0][0]

    def title(self, node: AtenNode) -> str:
        """How errors and nodes call an operation: its module's path, and in a container the operation too."""
        word = base_name(node.op)
        if node.module in self._containers:
            return f"{node.module}.{word}"
        return node.module or word

    def refuse(self, node: AtenNode, kind: str, hint: str) -> UnsupportedLayer:
        """The error for an operation that cannot be taken; the caller raises it."""
        return UnsupportedLayer(self.title(node), kind, hint, node.layer)

    def note(self, node: AtenNode, refusal: ModelError) -> None:
        """Keep a refusal; of a layer of torch, which may be many operations, the first one."""
        self.decide(node, refusal_of(refusal, self.title(node)))
        whole = node.module and hasattr(nn, node.layer) and node.module not in self._containers
        if not whole or node.module not in self._refused:
            self.refusals.append(refusal)
        self._refused.add(node.module)

    def stand_in(self, node: AtenNode) -> None:
        """A value of the right shape for one that could not be made, so that what follows can be looked
        at.
        """
        if node.name not in self.varying or node.shape[:1] != (self.batch,):
            self.lost.add(node.name)
            return
        self.values[node.name] = self.place(
            f"{node.name} unknown", Input(tuple(node.shape[1:]) or (1,), "current")
        )

    # reading arguments

    def full_shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value to torch, batch included; of one number a sample the graph keeps an axis."""
        return self._full[name]

    def of_sample(self, node: AtenNode, constant: npt.ArrayLike, full: tuple[int, ...]) -> Array:
        """A constant that broadcasts to values of a full shape, as it is for one sample, float64; axes along
        which nothing changes are of size 1. Refused where it differs from sample to sample.
        """
        array = np.asarray(constant, np.float64)
        try:
            rows = np.broadcast_to(array, full)
        except ValueError:
            rows = None
        if rows is None or (rows != rows[:1]).any():
            kind = f"a constant of shape {array.shape} with values of shape {full}"
            raise self.refuse(node, kind, "a constant that broadcasts to one sample")
        own = rows[0].reshape(full[1:] or (1,))
        for axis in range(own.ndim):
            first = own.take([0], axis)
            own = first if (own == first).all() else own
        return own

    def value(self, node: AtenNode, argument: Any) -> Value:
        """The value behind an argument; UnsupportedLayer where it is a constant or a list."""
        if isinstance(argument, Ref) and argument.name in self.values:
            return self.values[argument.name]
        raise self.refuse(
            node,
            f"{base_name(node.op)} on a constant or a list of values",
            "operations on values that depend on the input",
        )

    def constant(self, argument: Any) -> Array | None:
        """The array or number behind an argument; None where it is a value of the network."""
        if isinstance(argument, Ref):
            return self._array(argument.name)
        return np.asarray(argument) if isinstance(argument, bool | int | float) else None

    def _array(self, name: str) -> Array | None:
        found = self.constants.get(name)
        if name not in self.arrays and isinstance(found, torch.Tensor):
            self.arrays[name] = as_array(found)
        return self.arrays.get(name)

    def parameter(self, node: AtenNode, argument: Any) -> Array | None:
        """A parameter stored with the network; None where it is absent."""
        if argument is None:
            return None
        array = self.constant(argument)
        if array is None:
            raise self.refuse(
                node,
                f"{base_name(node.op)} with weights that the network computes",
                "weights that do not depend on the input",
            )
        return array

    def decide(self, node: AtenNode, verdict: str, value: Value | None = None) -> None:
        """Write down what became of an operation."""
        name = value.terms[-1] if value is not None else ""
        self.verdicts[node.name] = Verdict(node.module or node.name, node.op, verdict, name)

    # the end

    def check_parameters(self) -> None:
        """Raise ConversionError where parameters hold NaN or infinity, naming each as the user does."""
        found = {}
        for name, array in self.aten.tensors.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = int(array.size - np.isfinite(array).sum())
                found[self.aten.parameter_names.get(name, name)] = (
                    f"{bad} NaN or infinite value(s) of {array.size}"
                )
        if found:
            first, *others = found
            more = "".join(f"; {name} {found[name]}" for name in others)
            reason = f"holds {found[first]}{more}"
            raise ConversionError(first, reason, "retrain or repair the network")

    def told(self) -> tuple[Verdict, ...]:
        """The verdicts so far in the operations' order; what reads something refused is refused with it."""
        lost = f"{REFUSED}: what it reads was refused"
        made = self.verdicts
        return tuple(made.get(n.name, Verdict(n.module or n.name, n.op, lost)) for n in self.aten.nodes)

    def finish(self) -> Captured:
        """The nodes that lead from the Input to the Output, and the verdicts in the operations' order."""
        graph = self.graph()
        standing = tuple(_standing(verdict, graph.nodes.keys()) for verdict in self.told())
        return Captured(graph, standing, tuple(self.heads), tuple(self._warnings()), tuple(self.outputs))

    def _warnings(self) -> Iterator[str]:
        put_back = {final_function(self.aten, output.name) for output in self.aten.outputs}
        for node in self.aten.nodes:
            if self.heads.get(node.name) == ERASED_HEAD:
                word = base_name(node.op)
                then = (
                    "values are put through it again"
                    if word in put_back
                    else "the network answers with the values before it"
                )
                yield (
                    f"{self.title(node)}: {word} at the end is left out, since it keeps the order of "
                    f"the answers; {then}"
                )
        if self.aten.autocast:
            yield f"torch.autocast: what it computes in {self.aten.autocast} is converted as float32"


def refusal_of(error: SpikeflowError, name: str) -> str:
    """The verdict of an operation of this name that is refused."""
    return f"{REFUSED}: {str(error).removeprefix(f'{name}: ')}"


def _standing(verdict: Verdict, nodes: Container[str]) -> Verdict:
    """The verdict; a move of a move is one node, so the node of the first may be gone."""
    if not verdict.node or verdict.node in nodes:
        return verdict
    if verdict.verdict.startswith("synapses"):  # whose last move went on into another
        return replace(verdict, node="")
    return replace(verdict, verdict="folded into the move that follows", node="")
