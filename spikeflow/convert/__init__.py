"""ANN to SNN: ``convert(model, x, y, steps=64)``; and trained spiking networks to graphs."""

from __future__ import annotations

from spikeflow.convert.builder import Captured, Verdict
from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.pipeline import Conversion, convert
from spikeflow.convert.report import ConversionReport, LayerReport

__all__ = ["Captured", "Conversion", "ConversionReport", "ConvertOptions", "LayerReport", "Verdict", "convert"]
