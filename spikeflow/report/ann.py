"""The accuracy of the network before conversion, measured on the report's own samples."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from spikeflow.ir.answer import kind_of
from spikeflow.ir.score import score
from spikeflow.report.facts import AnnFacts
from spikeflow.samples import Samples, fitting

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
    fitting(samples, graph.shapes[graph.inputs[0]])
    if samples.y is None:
        return None
    kept = []
    for first in range(0, len(samples.x), BATCH):
        logits = forward(graph, samples.x[first : first + BATCH])
        kept.append(logits)
        if progress is not None:
            progress(min(first + BATCH, len(samples.x)), len(samples.x))
    outputs = np.concatenate(kept)
    found = score(outputs, samples.y, kind_of(outputs.shape[1:], y=samples.y)).accuracy
    return None if found is None else AnnFacts(found, len(outputs), "measured on the same samples")
