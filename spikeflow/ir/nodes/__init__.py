"""Every kind of node: its fields, ports, shape rule, checks, meaning and geometry. One file a family.

Shapes are without batch and time. Readers ask a kind's family (`families`), so that a new kind of a family is
one class and one line in `KINDS`; ``tests/ir/test_nodes.py`` runs every reader on every kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from spikeflow.ir.limits import MAX_ELEMENTS
from spikeflow.ir.nodes.base import Pair, Shape, check_shape
from spikeflow.ir.nodes.conv2d import Conv2d, convolution
from spikeflow.ir.nodes.delay import Delay
from spikeflow.ir.nodes.elementwise import Activation, BatchNorm, Scale
from spikeflow.ir.nodes.ends import Input, Output
from spikeflow.ir.nodes.families import Joint, LinearKind, Move, Passing, Plain, Pool, Synapses, Synaptic
from spikeflow.ir.nodes.linear import Linear
from spikeflow.ir.nodes.max_pool import MaxPool
from spikeflow.ir.nodes.moves import Concat, Flatten, Gather, Pad, Permute, Reshape, Slice, Upsample
from spikeflow.ir.nodes.of_means import Combined, Matmul, Normalise, OfMeans, Root, Softmax
from spikeflow.ir.nodes.poisson import Poisson
from spikeflow.ir.nodes.pools import SumPool
from spikeflow.ir.nodes.population import Population
from spikeflow.ir.nodes.procedural import Procedural
from spikeflow.ir.nodes.sparse import Sparse

__all__ = [
    "KINDS",
    "LINEAR_KINDS",
    "MAX_ELEMENTS",
    "Activation",
    "BatchNorm",
    "Combined",
    "Concat",
    "Conv2d",
    "Delay",
    "Flatten",
    "Gather",
    "Input",
    "Joint",
    "Linear",
    "LinearKind",
    "Matmul",
    "MaxPool",
    "Move",
    "Node",
    "Normalise",
    "OfMeans",
    "Output",
    "Pad",
    "Pair",
    "Passing",
    "Permute",
    "Plain",
    "Poisson",
    "Pool",
    "Population",
    "Procedural",
    "Reshape",
    "Root",
    "Scale",
    "Shape",
    "Slice",
    "Sparse",
    "Softmax",
    "SumPool",
    "Synapses",
    "Synaptic",
    "SynapticNode",
    "Upsample",
    "check_shape",
    "convolution",
]

Node = (
    Input
    | Output
    | Linear
    | Conv2d
    | Sparse
    | Procedural
    | SumPool
    | MaxPool
    | Flatten
    | Slice
    | Pad
    | Concat
    | Scale
    | BatchNorm
    | Activation
    | Population
    | Delay
    | Permute
    | Reshape
    | Gather
    | Upsample
    | Combined
    | Root
    | Matmul
    | Softmax
    | Normalise
    | Poisson
)
KINDS: Mapping[str, Any] = MappingProxyType({kind.__name__: kind for kind in get_args(Node)})
SynapticNode = Linear | Conv2d | Sparse | Procedural  # the kinds of the family Synaptic
LINEAR_KINDS = (Linear, Conv2d, Sparse)
