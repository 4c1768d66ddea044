"""Event data: files of every common format, data sets, transforms, batches.

``read`` takes any event file; ``open_recording`` streams it. ``load`` opens a data set by name, as does its
class, ``spikeflow.datasets.NMNIST(folder)``, which is imported when it is first named (`catalog.TABLE`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spikeflow.datasets.read import open_recording, read, write
from spikeflow.datasets.recording import Options, Recording
from spikeflow.datasets.sets.catalog import TABLE, load

__all__ = ["Options", "Recording", "load", "open_recording", "read", "write"]


def __getattr__(name: str) -> Any:
    """The class of a data set."""
    for module, kind in TABLE.values():
        if kind == name:
            return getattr(import_module(f"spikeflow.datasets.sets.{module}"), kind)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
