"""Opening: a torch module, a checkpoint or an archive, read without running code from the file.

`source` takes whatever a user hands over; `network_file` reads a file; `torchfile`, `zipped`, `pickled`,
`archive` and `checkpoint` take it apart; `layers` lists the layers that a saved module may hold; `foreign`
names what is not taken.
"""

from spikeflow.convert.load.network_file import Opened, load, make_module, read

__all__ = ["Opened", "load", "make_module", "read"]
