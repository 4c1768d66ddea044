"""Every format, in the order in which they are asked: those with a magic word first, bare layouts last."""

from spikeflow.datasets.format import Format
from spikeflow.datasets.formats import bin5

FORMATS: tuple[Format, ...] = (bin5.FORMAT,)
