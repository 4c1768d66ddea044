"""Batch norm with stored statistics."""

from __future__ import annotations

import numpy as np

from spikeflow.convert.capture.arguments import argument
from spikeflow.convert.capture.builder import BATCH_NORM, Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.ir.nodes import BatchNorm


def batch_norm(b: Builder, node: AtenNode) -> Value:
    """Evaluation mode with stored statistics; everything else is refused."""
    x = b.value(node, node.args[0])
    legit = "no_training" in node.op
    training = False if legit else bool(argument(node, 5, "training", False))
    mean, variance = (b.parameter(node, node.args[i]) for i in (3, 4))
    if mean is None or variance is None:
        hint = "track_running_stats=True while training, so that its statistics become constants"
        raise b.refuse(node, "batch norm with track_running_stats=False", hint)
    if training:
        raise b.refuse(node, "batch norm in training mode", "model.eval()")
    gamma, beta = (b.parameter(node, node.args[i]) for i in (1, 2))
    epsilon = float(argument(node, 6 if legit else 7, "eps", 1e-5))
    made = BatchNorm(
        mean,
        variance,
        np.ones_like(mean) if gamma is None else gamma,
        np.zeros_like(mean) if beta is None else beta,
        epsilon,
    )
    value = b.chain(b.title(node), made, x)
    b.decide(node, BATCH_NORM, value)
    return value
