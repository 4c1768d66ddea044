"""From events to tensors and spikes: frozen callables, seeded, with the same counts in the event and the
dense form.

An event transform takes ``(events, draw=0)`` and gives events; a representation gives an array. ``draw``
names the sample and the epoch: equal draws give equal results, in any worker and any order. `Compose` puts
them in a row, `transform_key` names them for a cache.
"""

from spikeflow.datasets.transforms.cutmix import CutMix, Mixed, MixedFrames
from spikeflow.datasets.transforms.denoise import BackgroundActivity, Integrate, Refractory
from spikeflow.datasets.transforms.downsample import Decimate, SpatialDownsample, TemporalDownsample
from spikeflow.datasets.transforms.drop import DropArea, DropEvents, DropPixels, DropTime, EventDrop
from spikeflow.datasets.transforms.frames import Frames, ToSpikes
from spikeflow.datasets.transforms.geometry import CentreCrop, Crop, Flip, Roll, Rotate
from spikeflow.datasets.transforms.jitter import (
    FromZero,
    RandomTimeScale,
    RandomTimeShift,
    SpatialJitter,
    TimeJitter,
    TimeReverse,
    TimeScale,
    TimeShift,
)
from spikeflow.datasets.transforms.random_geometry import RandomCrop, RandomFlip, RandomRoll, RandomRotate
from spikeflow.datasets.transforms.slice import (
    Labelled,
    SliceByCount,
    SliceByTime,
    Stretch,
    TimeWindow,
    slice_by_label,
)
from spikeflow.datasets.transforms.sometimes import Sometimes
from spikeflow.datasets.transforms.surface import TimeSurface
from spikeflow.datasets.transforms.tonic import FromTonic, ToTonic, to_tonic
from spikeflow.datasets.transforms.transform import Compose, EventTransform, Transform, transform_key
from spikeflow.datasets.transforms.voxel import VoxelGrid
from spikeflow.ir.binning import Binning

__all__ = [
    "BackgroundActivity",
    "Binning",
    "CentreCrop",
    "Compose",
    "Crop",
    "CutMix",
    "Decimate",
    "DropArea",
    "DropEvents",
    "DropPixels",
    "DropTime",
    "EventDrop",
    "EventTransform",
    "Flip",
    "Frames",
    "FromTonic",
    "FromZero",
    "Integrate",
    "Labelled",
    "Mixed",
    "MixedFrames",
    "RandomCrop",
    "RandomFlip",
    "RandomRoll",
    "RandomRotate",
    "RandomTimeScale",
    "RandomTimeShift",
    "Refractory",
    "Roll",
    "Rotate",
    "SliceByCount",
    "SliceByTime",
    "Sometimes",
    "SpatialDownsample",
    "SpatialJitter",
    "Stretch",
    "TemporalDownsample",
    "TimeJitter",
    "TimeReverse",
    "TimeScale",
    "TimeShift",
    "TimeSurface",
    "TimeWindow",
    "ToSpikes",
    "ToTonic",
    "Transform",
    "VoxelGrid",
    "slice_by_label",
    "to_tonic",
    "transform_key",
]
