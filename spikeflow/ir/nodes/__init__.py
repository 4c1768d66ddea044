"""Every kind of node: its fields, its ports, its shape rule, its checks. One file a family.

Shapes are without batch and time. A kind is declared here only once its readers know it: ``sim.reference``,
``sim.lower``, ``convert`` and ``ir.file``; ``tests/ir/test_nodes.py`` names the missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from spikeflow.ir.nodes.base import MAX_ELEMENTS, Pair, Shape, check_shape
from spikeflow.ir.nodes.conv2d import Conv2d
from spikeflow.ir.nodes.elementwise import Activation, BatchNorm, Scale
from spikeflow.ir.nodes.ends import Input, Output
from spikeflow.ir.nodes.linear import Linear
from spikeflow.ir.nodes.moves import Concat, Flatten, Pad, Slice
from spikeflow.ir.nodes.pools import SumPool
from spikeflow.ir.nodes.population import Population
from spikeflow.ir.nodes.sparse import Sparse

__all__ = [
    "KINDS",
    "LINEAR_KINDS",
    "MAX_ELEMENTS",
    "Activation",
    "BatchNorm",
    "Concat",
    "Conv2d",
    "Flatten",
    "Input",
    "Linear",
    "Node",
    "Output",
    "Pad",
    "Pair",
    "Population",
    "Scale",
    "Shape",
    "Slice",
    "Sparse",
    "SumPool",
    "check_shape",
]

Node = (
    Input
    | Output
    | Linear
    | Conv2d
    | Sparse
    | SumPool
    | Flatten
    | Slice
    | Pad
    | Concat
    | Scale
    | BatchNorm
    | Activation
    | Population
)
KINDS: Mapping[str, Any] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            Input,
            Output,
            Linear,
            Conv2d,
            Sparse,
            SumPool,
            Flatten,
            Slice,
            Pad,
            Concat,
            Scale,
            BatchNorm,
            Activation,
            Population,
        )
    }
)
LINEAR_KINDS = (Linear, Conv2d, Sparse)  # nodes that hold synapses
