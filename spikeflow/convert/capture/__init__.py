"""Capture: a traced network becomes a graph of stage ann, with a verdict for every operation.

`traced` walks the operations; `arithmetic`, `shapes`, `synapses` and `heads` take one kind each; `builder`
holds the graph while it grows; `refusals` says why an operation is not taken.
"""

from spikeflow.convert.capture.builder import Captured, Verdict
from spikeflow.convert.capture.traced import capture

__all__ = ["Captured", "Verdict", "capture"]
