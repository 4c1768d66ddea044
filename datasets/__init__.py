"""Event data: files of every common format, data sets, transforms, batches.

``read`` takes any event file; ``open_recording`` streams it.
"""

from spikeflow.datasets.read import open_recording, read, write
from spikeflow.datasets.recording import Options, Recording

__all__ = ["Options", "Recording", "open_recording", "read", "write"]
