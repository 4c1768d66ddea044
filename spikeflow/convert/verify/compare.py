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
from spikeflow.convert.load.source import evaluating, like
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.trace.atengraph import AtenGraph
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
    if isinstance(network, AtenGraph):
        return found.evaluated(x)
    narrow = _narrowest(aten)
    difference = found.module(network, x, narrow)
    known = all(map(is_listed, aten.nodes))  # an operation of the user's own is run by the module alone
    return found.evaluated(x) if known and (narrow or captured.heads) else difference


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

    @property
    def _tolerance(self) -> float:
        nodes = self.captured.graph.nodes.values()
        return EDGES if any(isinstance(node, Activation) and node.levels for node in nodes) else TOLERANCE

    def module(self, module: nn.Module, x: Array, narrow: str) -> float:
        """The module itself against the graph, with what was left out at the end put back."""
        tolerance = self._tolerance
        if narrow:
            tolerance = max(tolerance, _ROUNDINGS * torch.finfo(getattr(torch, narrow)).eps)
        worst = _Worst(type(module).__name__, "the module", tolerance, narrow)
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
                for got, tensor in zip(mine, tensors_of(wanted), strict=True):
                    worst.see(got, tensor)
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
        worst = _Worst(name, "its operations", self._tolerance, "")
        evaluation = Evaluation(
            self.aten, constants(self.aten)[0], frozenset(self.captured.heads), single=True
        )
        sizes = _BATCHES
        if not self.aten.dynamic_batch:
            size = max(1, self.aten.input_shapes[0][0])
            sizes = (size,) * max(1, sum(_BATCHES) // size)
        for batch in _batches(x, sizes):
            wanted = evaluation.run({self.aten.inputs[0]: torch.from_numpy(batch)})
            for mine, theirs in zip(self._graph(batch), wanted, strict=True):
                worst.see(mine, theirs)
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
    tolerance: float
    narrow: str
    difference: float = 0.0

    def see(self, got: torch.Tensor, wanted: torch.Tensor) -> None:
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
        if not difference <= self.tolerance:
            raise self._error(difference, len(mine))

    def _error(self, difference: float, batch: int) -> ConversionError:
        kind = f", the tolerance of {self.narrow}" if self.narrow else ""
        reason = (
            f"its graph differs from {self.what} by {difference:.1e} of the largest answer on a batch of "
            f"{batch} "
            f"(allowed {self.tolerance:.0e}{kind})"
        )
        hint = f"{_ONE_SIZE}, and does not depend on values"
        return ConversionError(self.name, reason, f"{hint}; or model.float()" if self.narrow else hint)
