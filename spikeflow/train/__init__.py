"""Training of networks of spiking neurons in torch: what a loop needs, and a loop.

loss, reading, regularise : what is minimised.
metric : accuracy, latency to decision, and the counts of NeuroBench.
norm, deploy : normalisation, and the network with it folded, as it is exported.
init, quantise : weights that make every layer fire; weights trained as a chip's integers; clipping.
rules : learning rules by one switch, from back-propagation through time to local losses.
loop : `fit`, by a `recipe`, over `batches`; epochs, checkpoint, history and health are its parts.
ranks, shares : the processes that train one network together, and what each takes of a batch.
"""

from __future__ import annotations
