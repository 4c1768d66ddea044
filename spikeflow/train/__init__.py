"""Training of networks of spiking neurons in torch: what a loop needs, and a loop.

loss, reading, regularise : what is minimised.
metric : accuracy, latency to decision, and the counts of NeuroBench.
"""

from __future__ import annotations
