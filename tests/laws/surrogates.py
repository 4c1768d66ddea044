"""Every surrogate, some with other numbers than the usual ones, and one of one's own."""

from __future__ import annotations

from spikeflow.neurons import surrogate
from spikeflow.neurons.surrogate import Surrogate

SURROGATES: tuple[Surrogate, ...] = (
    surrogate.atan,
    surrogate.triangle,
    surrogate.rectangle,
    surrogate.sigmoid,
    surrogate.fast_sigmoid,
    surrogate.slayer_exponential,
    surrogate.multi_gaussian,
    surrogate.straight_through,
    surrogate.ArcTangent(0.7),
    surrogate.Triangle(0.3, 2.0),
    surrogate.traced(lambda x, ops: ops.where(ops.spike(x), 0.25, 1.0)),
)
