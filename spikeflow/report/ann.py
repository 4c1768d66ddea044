"""The accuracy of the network before conversion, measured on the report's own samples."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from spikeflow.errors import DataError
from spikeflow.report.facts import AnnFacts
from spikeflow.samples import Samples

Progress = Callable[[int, int], None]
BATCH = 250


def measure_ann(
    source: str | os.PathLike[str], arch: str | None, samples: Samples, progress: Progress | None = None
) -> AnnFacts | None:
    """Open a trained network as the conversion does and run its captured graph; None where labels are not known.

    Parameters
    ----------
    arch : ``package.module:function`` that makes the module of a state dict.

    Raises
    ------
    FileError, UnsupportedLayer, ConversionError, DataError
        As the conversion itself does.
    """
    # torch is loaded here, and only here
    from spikeflow.convert import source as sources
    from spikeflow.convert.capture import capture
    from spikeflow.convert.forward import forward

    graph = capture(sources.traced(sources.opened(source, arch), samples.x, None)).graph
    wanted = graph.shapes[graph.inputs[0]]
    if samples.x.shape[1:] != wanted:
        raise DataError("data: x", f"samples of shape {samples.x.shape[1:]}", f"{wanted}, as the ANN takes")
    if samples.y is None:
        return None
    right = 0
    for first in range(0, len(samples.x), BATCH):
        logits = forward(graph, samples.x[first : first + BATCH])
        right += int(
            (logits.reshape(len(logits), -1).argmax(axis=1) == samples.y[first : first + BATCH]).sum()
        )
        if progress is not None:
            progress(min(first + BATCH, len(samples.x)), len(samples.x))
    return AnnFacts(
        float(np.float64(right) / len(samples.x)), f"measured on the same {len(samples.x)} samples"
    )
