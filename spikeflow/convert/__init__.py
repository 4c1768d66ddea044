"""ANN to SNN: ``convert(model, x, y, steps=64)``; and trained spiking networks to graphs."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from spikeflow.errors import MissingPackage

try:
    import torch as torch
except ImportError as error:
    raise MissingPackage("torch>=2.10", "reading and converting networks", error) from error

from spikeflow.convert.agreement import Agreement, agreement
from spikeflow.convert.capture.builder import Captured, Verdict
from spikeflow.convert.explain import Explanation, explain
from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.pipeline import Conversion, convert
from spikeflow.convert.report import ConversionReport, LayerReport
from spikeflow.convert.trained import capture_trained, graph_of

__all__ = [
    "Agreement",
    "Captured",
    "Conversion",
    "ConversionReport",
    "ConvertOptions",
    "Explanation",
    "LayerReport",
    "Verdict",
    "agreement",
    "capture_trained",
    "convert",
    "explain",
    "graph_of",
]


class _Package(ModuleType):
    """So that ``spikeflow.convert(...)`` converts: the package and its main function share their name."""

    def __call__(self, *args: Any, **options: Any) -> Conversion:
        return convert(*args, **options)


sys.modules[__name__].__class__ = _Package
