"""METHODS: every rule for thresholds by its name; options, command line, report and run record take it
from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from spikeflow.convert.passes.auto import auto_thresholds
from spikeflow.convert.passes.by_depth import staggered, usual_slope
from spikeflow.convert.passes.least_error import least_error_thresholds
from spikeflow.convert.passes.light import corrected
from spikeflow.convert.passes.local import local_thresholds
from spikeflow.convert.passes.thresholds import (
    SAMPLES,
    Basis,
    Thresholds,
    data_free_thresholds,
    percentile_thresholds,
    share_above,
)
from spikeflow.convert.passes.tracking import tracking_thresholds
from spikeflow.errors import ConversionError

AUTO = "auto"
Method = Callable[[Basis], Thresholds]


def light_thresholds(basis: Basis) -> Thresholds:
    """The percentile for the steps, layers that wake by depth (not in alphabets with values below 0), and
    biases corrected on the samples.
    """
    stats = basis.observed("light")
    if basis.samples is None or basis.spiking is None:
        raise ConversionError("thresholds", "the method light runs calibration samples", SAMPLES)
    usual = percentile_thresholds(stats, 100 * (1 - share_above(basis.steps, basis.alphabet)))
    woken = staggered(usual, basis.folded, usual_slope(basis.alphabet), basis.steps)
    return corrected(woken, basis, basis.samples[:64])


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "percentile": lambda basis: percentile_thresholds(basis.observed("percentile"), basis.percentile),
        "largest": lambda basis: percentile_thresholds(basis.observed("largest"), 100.0),
        "percentile-of-all": lambda basis: percentile_thresholds(
            basis.observed("percentile-of-all"), basis.percentile, zeros=True
        ),
        "percentile-of-layer": lambda basis: percentile_thresholds(
            basis.observed("percentile-of-layer"), basis.percentile, by_layer=True
        ),
        "percentile-for-steps": lambda basis: percentile_thresholds(
            basis.observed("percentile-for-steps"), 100 * (1 - share_above(basis.steps, basis.alphabet))
        ),
        "least-error": least_error_thresholds,
        "local": local_thresholds,
        "light": light_thresholds,
        "tracking": tracking_thresholds,
        "batch-norm": lambda basis: data_free_thresholds(basis.graph),
        AUTO: auto_thresholds,
    }
)
