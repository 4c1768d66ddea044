"""The logits of an ANN in a file, which a spiking network is trained to follow."""

from __future__ import annotations

import numpy as np
import torch

from spikeflow.convert.capture.refusals import APPROXIMATIONS
from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.source import opened, traced
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import DataError
from spikeflow.typing import Array

AT_ONCE = 256


@torch.no_grad()
def logits(path: str, x: Array, classes: int) -> Array:
    """What the network in a file, any that `spikeflow convert` reads, answers to samples: ``(N, classes)``.

    Raises
    ------
    DataError
        Where it answers with another number of values a sample.
    SpikeflowError
        As `spikeflow convert` does for its files.
    """
    graph = capture(traced(opened(path, None), x[:2], None), APPROXIMATIONS).graph
    found = np.concatenate([forward(graph, x[i : i + AT_ONCE]) for i in range(0, len(x), AT_ONCE)])
    if found.shape != (len(x), classes):
        raise DataError("recipe: distillation.file", f"answers of shape {found.shape[1:]}", f"({classes},)")
    return found.astype(np.float32)
