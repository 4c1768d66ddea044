"""Old names that still work, with a warning that names the new one: modules that moved into rooms,
attributes.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# room: what moved into it; `old:new` where the module has another name there
_ROOMS = {
    "convert.trace": "aten atengraph evaluate forecast normal operations returned",
    "convert.load": "archive archive_fields checkpoint foreign layers pickled reparametrised source "
    "torchfile zipped",
    "convert.capture": "affine builder capture_arithmetic:arithmetic capture_shapes:shapes "
    "capture_synapses:synapses heads refusals",
    "convert.passes": "balance coding fold forward observe scales thresholds",
    "convert.verify": "calibrated compare magnitude replay ties",
    "hw.chips": "arithmetic chip",
    "hw.passes": "adapt advice compose convolve gains operators retime rules",
    "hw.integer": "choose loss losses observe probes quantisation quantise registers roundings scales "
    "translate units values weights",
    "hw.layout": "budget connectivity grow messages pack partition place refine route",
    "hw.tables": "build check file mapping origin rebuild",
    "report.network": "ann collect conventions estimates facts hardware layers mesh page pictures raster "
    "slices text verdict verdicts write",
    "report.recording": "recording_about:about recording_film:film recording_frames:frames "
    "recording_page:page recording_paint:paint recording_picture:picture recording_write:write",
    "datasets.sets": "asl_dvs audio braille card:metadata catalog cifar10 cifar10_dvs dsec dsec_drive "
    "dvs_gesture dvs_lip heidelberg images mnist ncaltech101 ncars nmnist ntidigits poker_dvs shd "
    "speech_commands splits spoken_digits ssc",
    "datasets.stored": "idx layouts pickled_arrays png rows wave",
    "datasets.fetch": "download prepare unpack",
    "datasets.loading": "batch cache entry export loader maker:collate source",
    "datasets.table": "columns faults screen:validate tabular units",
    "datasets.formats": "decoded foreign format",
}


def _moves() -> Iterator[tuple[str, str]]:
    for room, names in _ROOMS.items():
        for name in names.split():
            old, _, new = name.partition(":")
            yield f"spikeflow.{room.partition('.')[0]}.{old}", f"spikeflow.{room}.{new or old}"


MOVED = dict(_moves())


def spec_of(name: str) -> ModuleSpec | None:
    """A spec for a module's old name, None for any other."""
    return ModuleSpec(name, Moved()) if name in MOVED else None


class Moved(Loader):
    """Loads the module that is there now for its old name."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the empty one that was made for the old."""
        old = module.__name__
        warnings.warn(f"{old} is now {MOVED[old]}", DeprecationWarning, stacklevel=2)
        sys.modules[old] = importlib.import_module(MOVED[old])
        parent = sys.modules[old.rpartition(".")[0]]
        if type(parent) is ModuleType:
            parent.__class__ = _Keeping


class _Keeping(ModuleType):
    """A package whose function keeps its name where a module of that name, an old one, is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        known = vars(self).get(name)
        if isinstance(value, ModuleType) and known is not None and not isinstance(known, ModuleType):
            return
        super().__setattr__(name, value)


class Renamed:
    """An attribute of a class, or of its objects, by its old name.

    Parameters
    ----------
    new : the name that it has now.
    """

    def __init__(self, new: str) -> None:
        self.new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self.old = name

    def __get__(self, instance: object, owner: type) -> Any:
        told = f"{owner.__name__}.{self.old} is now {owner.__name__}.{self.new}"
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        return getattr(owner if instance is None else instance, self.new)
