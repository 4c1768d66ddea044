"""A small network around every kind of node, for tests that run every reader on every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import (
    Activation,
    BatchNorm,
    Combined,
    Concat,
    Conv2d,
    Delay,
    Flatten,
    Gather,
    Input,
    Joint,
    Linear,
    Matmul,
    MaxPool,
    Node,
    Normalise,
    Output,
    Pad,
    Permute,
    Poisson,
    Procedural,
    Reshape,
    Root,
    Scale,
    Shape,
    Slice,
    Softmax,
    Sparse,
    SumPool,
    Upsample,
)
from spikeflow.ir.projections import FixedInDegree, Normal, Probability, Projection
from spikeflow.neurons import IF, Integrator

PICTURE: Shape = (2, 4, 6)


def weights(*shape: int) -> np.ndarray:
    """Small whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(sum(shape)).integers(-2, 4, shape).astype(np.float32)


@dataclass(frozen=True)
class Example:
    """A node and, at every port of it, what arrives there."""

    node: Node
    arriving: Shape = PICTURE


EXAMPLES: Mapping[str, Example] = MappingProxyType(
    {
        "Input": Example(Flatten()),  # every network here begins with an Input and ends with an Output
        "Output": Example(Flatten()),
        "Linear": Example(Linear(weights(5, 48), weights(5), np.arange(48) % 3)),
        "Conv2d": Example(
            Conv2d(weights(3, 1, 2, 3)[[0, 1, 2, 0]], weights(4), (1, 2), ((1, 0), (0, 1)), groups=2)
        ),
        "Sparse": Example(
            Sparse(
                np.arange(49), np.arange(48) % 7, weights(48), PICTURE, (7,), weights(7), np.arange(48) % 2
            )
        ),
        "Procedural": Example(
            Procedural(
                (
                    Projection(0, 48, FixedInDegree(9), 2.0, Normal(1, 1, 0, 2)),
                    Projection(8, 20, Probability(0.3), -1.0, 0, 1),
                ),
                PICTURE,
                (7,),
                weights(7),
            )
        ),
        "SumPool": Example(SumPool((2, 3), (2, 1))),
        "MaxPool": Example(MaxPool((2, 3), (2, 1), ((1, 0), (1, 1)), (1, 2), "running")),
        "Flatten": Example(Flatten()),
        "Slice": Example(Slice((0, 1, 0), (2, 4, 6), (1, 2, 1))),
        "Pad": Example(Pad((1, 0, 2), (0, 1, 0))),
        "Concat": Example(Concat(1, 2)),
        "Scale": Example(Scale(np.asarray([2.0, 0.5], np.float32)[:, None, None])),
        "BatchNorm": Example(BatchNorm([0.5, 1], [1, 4], [1, 2], [0.25, -1])),
        "Activation": Example(Activation()),
        "Delay": Example(Delay(2)),
        "Permute": Example(Permute((2, 0, 1))),
        "Reshape": Example(Reshape((4, 3, 2, 2))),
        "Gather": Example(Gather(np.arange(60)[::-1] % 49 - 1, PICTURE, (3, 5, 4))),
        "Upsample": Example(Upsample((1, 2, 3))),
        "Combined": Example(Combined("quotient")),
        "Root": Example(Root(0.25)),
        "Matmul": Example(Matmul(transposed=True)),
        "Softmax": Example(Softmax(), (3, 4, 2)),
        "Normalise": Example(Normalise(12)),
        "Poisson": Example(Poisson(PICTURE, np.full(PICTURE, 0.7), 3)),
        "Population": Example(IF(2.0, "zero").node(PICTURE)),
    }
)


def spiking(kind: str, reset: str = "subtract") -> Graph:
    """Input, neurons, the kind, neurons, weights and a read-out that adds up: stage snn, but for kinds of stage ann."""
    node, arriving = EXAMPLES[kind].node, EXAMPLES[kind].arriving
    shape = node.output_shape(kind, (arriving,) * len(node.ports))
    count = int(np.prod(shape))
    nodes: dict[str, Node] = {
        "x": Input(arriving, "spikes"),
        "w": Conv2d(weights(arriving[0], arriving[0], 1, 1) + 1),
        "first": IF(2.0, reset).node(arriving),
        "node": node,
        "second": IF(2.0, reset).node(shape),
        "v": Linear(weights(3, count)),
        "readout": Integrator().node((3,)),
        "out": Output(),
    }
    chain = ("x", "w", "first"), ("second", "v", "readout", "out")
    edges = [Edge(a, b) for part in chain for a, b in zip(part, part[1:], strict=False)]
    edges += [Edge("first", "node", port) for port in node.ports] + [Edge("node", "second")]
    return Graph(nodes, tuple(edges))


def stateless(kind: str) -> Graph:
    """Input, the kind, Output: stage ann."""
    node, arriving = EXAMPLES[kind].node, EXAMPLES[kind].arriving
    entry = "spikes" if isinstance(node, Joint) and node.counts else "current"
    nodes: dict[str, Node] = {"x": Input(arriving, entry), "node": node, "out": Output()}
    return Graph(nodes, (*(Edge("x", "node", port) for port in node.ports), Edge("node", "out")))
