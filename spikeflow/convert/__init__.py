"""ANN to SNN: ``convert(model, x, y, steps=64)``; and trained spiking networks to graphs."""

from __future__ import annotations

from spikeflow.errors import MissingPackage

try:
    import torch as torch
except ImportError as error:
    raise MissingPackage("torch>=2.10", "reading and converting networks", error) from error

from spikeflow.convert.agreement import Agreement, agreement
from spikeflow.convert.capture.builder import Captured, Verdict
from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.pipeline import Conversion, convert
from spikeflow.convert.report import ConversionReport, LayerReport
from spikeflow.convert.trained import capture_trained

__all__ = [
    "Agreement",
    "Captured",
    "Conversion",
    "ConversionReport",
    "ConvertOptions",
    "LayerReport",
    "Verdict",
    "agreement",
    "capture_trained",
    "convert",
]
