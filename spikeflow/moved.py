"""Modules that have moved into a room: the old name still imports the module, with a warning that names the
new one.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# room: what moved into it; `old:new` where the module has another name there
_ROOMS = {
    "convert.trace": "aten atengraph evaluate forecast normal operations returned",
    "convert.load": "archive archive_fields checkpoint foreign layers pickled reparametrised source "
    "torchfile zipped",
    "convert.capture": "affine builder capture_arithmetic:arithmetic capture_shapes:shapes "
    "capture_synapses:synapses"
    " heads refusals sections unrolled",
    "convert.passes": "balance coding fold forward observe scales thresholds",
    "convert.verify": "calibrated compare magnitude replay ties",
    "hw.chips": "arithmetic chip",
    "hw.passes": "adapt advice compose convolve gains operators retime rules",
    "hw.integer": "choose loss losses observe probes quantisation quantise registers roundings scales "
    "translate units"
    " values weights",
    "hw.layout": "budget connectivity grow messages pack partition place refine route",
    "hw.tables": "build check file mapping origin rebuild",
    "report.network": "ann collect conventions estimates facts hardware layers mesh page pictures raster "
    "slices text"
    " verdict verdicts write",
    "report.recording": "recording_about:about recording_film:film recording_frames:frames "
    "recording_page:page"
    " recording_paint:paint recording_picture:picture recording_write:write",
    "datasets.sets": "asl_dvs audio braille card catalog cifar10 cifar10_dvs dsec dsec_drive dvs_gesture "
    "dvs_lip"
    " heidelberg images mnist ncaltech101 ncars nmnist ntidigits poker_dvs shd speech_commands splits "
    "spoken_digits ssc",
    "datasets.stored": "idx layouts pickled_arrays png rows wave",
    "datasets.fetch": "download prepare unpack",
    "datasets.loading": "batch cache entry export loader maker source",
    "datasets.table": "columns faults screen tabular units",
    "datasets.formats": "decoded foreign format",
}


def _moves() -> Iterator[tuple[str, str]]:
    for room, names in _ROOMS.items():
        for name in names.split():
            old, _, new = name.partition(":")
            yield f"spikeflow.{room.partition('.')[0]}.{old}", f"spikeflow.{room}.{new or old}"


MOVED = dict(_moves())


class Moved(MetaPathFinder, Loader):
    """Finds a module by its old name and hands out the one that is there now."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old name, None for any other."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the empty one that was made for the old."""
        old = module.__name__
        warnings.warn(f"{old} is now {MOVED[old]}", DeprecationWarning, stacklevel=2)
        sys.modules[old] = importlib.import_module(MOVED[old])
