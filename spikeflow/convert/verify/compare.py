"""compare: a captured graph against the network that it came from, on samples, in batches of several sizes.

A module answers itself; an archive is evaluated operation by operation. What a network answers to a sample
may not depend on the batch that it comes in, so batches of 1, 2 and 5 are tried, or of the size that it is
bound to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from spikeflow.convert.capture.builder import Captured
from spikeflow.convert.capture.heads import chain
from spikeflow.convert.capture.levels import SHIFT
from spikeflow.convert.load.source import evaluating, like
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, base_name
from spikeflow.convert.trace.evaluate import Evaluation, constants
from spikeflow.convert.trace.normal import is_listed
from spikeflow.convert.trace.returned import tensors_of
from spikeflow.errors import ConversionError
from spikeflow.ir.nodes import Activation
from spikeflow.typing import Array

TOLERANCE = 1e-4  # of the largest answer: torch may fuse and reorder what the graph does one by one
EDGES = 0.05  # of activations in levels: a value on the edge of one may fall to either side
_ROUNDINGS = 8  # of a type narrower than float32, for a module that computes in it
_BATCHES = (1, 2, 5)
_ONE_SIZE = "a forward() that answers each sample alone, whatever the batch"
_NARROW = ("float16", "bfloat16")


def compare(network: nn.Module | AtenGraph, aten: AtenGraph, captured: Captured, x: Array) -> float:
    """The largest difference of a network and its graph on some samples, relative to the largest answer.

    A module in half precision is compared with the tolerance of its type, and once more in float32.

    Raises
    ------
    ConversionError
        Where it exceeds the tolerance: then the capture is wrong, and nothing after it could be right.
    """
    found = _Compared(aten, captured)
    known = all(map(is_listed, aten.nodes))  # an operation of the user's own is run by the module alone
    if known and (smooth := _without_levels(aten, captured)) is not None:
        smooth.evaluated(x)
    if isinstance(network, AtenGraph):
        return found.evaluated(x)
    narrow = _narrowest(aten)
    difference = found.module(network, x, narrow)
    return found.evaluated(x) if known and (narrow or captured.heads) else difference


def _without_levels(aten: AtenGraph, captured: Captured) -> _Compared | None:
    """Both with the floors of activations in levels taken out, so that no value lies on an edge; None where
    there are none, or with another shift than a half, which moves the clip as well.
    """
    graph = captured.graph
    levels = {
        name: replace(node, levels=0)
        for name, node in graph.nodes.items()
        if isinstance(node, Activation) and node.levels
    }
    moved = any(e.src.endswith(SHIFT) for name in levels for e in graph.inputs_of(name))
    if not levels or moved:
        return None
    nodes = tuple(_half_less(node) if base_name(node.op) == "floor" else node for node in aten.nodes)
    return _Compared(replace(aten, nodes=nodes), replace(captured, graph=graph.with_nodes(levels)))


def _half_less(floor: AtenNode) -> AtenNode:
    """What a floor of values is on average: the value less a half."""
    return replace(floor, op="aten.sub.Tensor", args=(floor.args[0], 0.5))


def _narrowest(aten: AtenGraph) -> str:
    """The narrowest type below float32 that the network computes in; empty where there is none."""
    words = {aten.autocast} | ({"bfloat16"} if aten.bfloat16 else set())
    words |= {"float16" for array in aten.tensors.values() if array.dtype == np.float16}
    for node in aten.nodes:
        words |= {a for a in (*node.args, *node.kwargs.values()) if isinstance(a, str)}
    return next((word for word in reversed(_NARROW) if word in words), "")


@dataclass(frozen=True, eq=False)
class _Compared:
    aten: AtenGraph
    captured: Captured

    def _tolerance(self, number: int) -> float:
        """Of an output: wider where it is made of activations in levels, one of which may have fallen."""
        graph = self.captured.graph
        todo, seen = [self.captured.outputs[number].node], set[str]()
        while todo:
            name = todo.pop()
            node = graph.nodes[name]
            if isinstance(node, Activation) and node.levels:
                return EDGES
            seen.add(name)
            todo += [e.src for e in graph.inputs_of(name) if e.src not in seen]
        return TOLERANCE

    def module(self, module: nn.Module, x: Array, narrow: str) -> float:
        """The module itself against the graph, with what was left out at the end put back."""
        least = _ROUNDINGS * torch.finfo(getattr(torch, narrow)).eps if narrow else 0.0
        worst = _Worst(type(module).__name__, "the module", narrow)
        evaluation = Evaluation(self.aten, constants(self.aten)[0], single=True)
        with evaluating(module), torch.no_grad():
            for batch in _batches(x, _BATCHES):
                try:
                    wanted = module(like(module, batch))
                except Exception as error:  # the user's own code
                    words = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                    reason = f"it fails on a batch of {len(batch)} ({words})"
                    raise ConversionError(type(module).__name__, reason, _ONE_SIZE) from error
                mine = self._with_heads(evaluation, batch)
                for number, pair in enumerate(zip(mine, tensors_of(wanted), strict=True)):
                    worst.see(*pair, max(self._tolerance(number), least))
        return worst.difference

    def _with_heads(self, evaluation: Evaluation, batch: Array) -> list[torch.Tensor]:
        """The graph's outputs through what was left out behind each."""
        found = []
        for number, (ref, logits) in enumerate(zip(self.aten.outputs, self._graph(batch), strict=True)):
            left = [node for node, verdict in chain(self.aten, ref.name) if verdict]
            if left:
                before = left[-1].args[0].name
                shape = next((n.shape for n in self.aten.nodes if n.name == before), left[-1].shape)
                given = {before: logits.reshape(len(batch), *shape[1:])}
                logits = replace(evaluation, graph=_ending(self.aten, number)).run(given)[0]
            found.append(logits)
        return found

    def _graph(self, batch: Array) -> list[torch.Tensor]:
        found = outputs_of(self.captured.graph, batch)
        return [torch.from_numpy(found[output.node]) for output in self.captured.outputs]

    def evaluated(self, x: Array) -> float:
        """The traced operations in float32 against the graph; what was left out is left out of both."""
        name = "the archive" if not self.aten.nodes else self.aten.nodes[-1].module or "the network"
        worst = _Worst(name, "its operations", "")
        evaluation = Evaluation(
            self.aten, constants(self.aten)[0], frozenset(self.captured.heads), single=True
        )
        sizes = _BATCHES
        if not self.aten.dynamic_batch:
            size = max(1, self.aten.input_shapes[0][0])
            sizes = (size,) * max(1, sum(_BATCHES) // size)
        for batch in _batches(x, sizes):
            wanted = evaluation.run({self.aten.inputs[0]: torch.from_numpy(batch)})
            for number, pair in enumerate(zip(self._graph(batch), wanted, strict=True)):
                worst.see(*pair, self._tolerance(number))
        return worst.difference


def _ending(aten: AtenGraph, number: int) -> AtenGraph:
    """The network with one of its outputs alone."""
    return replace(aten, outputs=aten.outputs[number : number + 1])


def _batches(x: Array, sizes: tuple[int, ...]) -> Iterator[Array]:
    """Samples one after the other, from the first again where there are fewer."""
    at = 0
    for size in sizes:
        yield np.ascontiguousarray(x[np.arange(at, at + size) % len(x)], np.float32)
        at += size


@dataclass
class _Worst:
    """The largest difference so far, and the error where it is too large."""

    name: str
    what: str
    narrow: str
    difference: float = 0.0

    def see(self, got: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
        """One batch: the graph's answers and the network's."""
        mine, theirs = (t.detach().to("cpu", torch.float64).numpy() for t in (got, wanted))
        alone = len(mine) == 1 or (theirs.ndim > 0 and len(mine) == len(theirs))
        if mine.shape != theirs.shape and not (alone and mine.size == theirs.size):
            reason = f"its graph answers {mine.shape}, {self.what} {theirs.shape}"
            raise ConversionError(self.name, reason, _ONE_SIZE)
        theirs = theirs.reshape(mine.shape)  # squeeze() leaves out dimensions of one element
        scale = max(float(np.abs(theirs).max(initial=0.0)), 1e-6)
        difference = float(np.abs(mine - theirs).max(initial=0.0)) / scale
        self.difference = max(self.difference, difference)
        if not difference <= tolerance:
            raise self._error(difference, len(mine), tolerance)

    def _error(self, difference: float, batch: int, tolerance: float) -> ConversionError:
        kind = f", the tolerance of {self.narrow}" if self.narrow else ""
        reason = (
            f"its graph differs from {self.what} by {difference:.1e} of the largest answer on a batch of "
            f"{batch} (allowed {tolerance:.0e}{kind})"
        )
        hint = f"{_ONE_SIZE}, and does not depend on values"
        return ConversionError(self.name, reason, f"{hint}; or model.float()" if self.narrow else hint)
