"""Networks of point neurons as others write them down: NeuroML in HDF5, and SONATA."""

from spikeflow.readers.neuroml import read_neuroml
from spikeflow.readers.sonata import read_sonata

__all__ = ["read_neuroml", "read_sonata"]
