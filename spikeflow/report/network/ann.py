"""The accuracy of the network before conversion, measured on the report's own samples."""

from __future__ import annotations

import os

import numpy as np

from spikeflow.report.network.facts import AnnFacts
from spikeflow.samples import Samples, fitting
from spikeflow.typing import Progress

BATCH = 250


def measure_ann(
    source: str | os.PathLike[str],
    arch: str | None,
    samples: Samples,
    progress: Progress | None = None,
    output: str = "",
) -> AnnFacts | None:
    """Open a trained network as the conversion does and run its captured graph; None where labels are not
    known.

    Parameters
    ----------
    arch : ``package.module:function`` that makes the module of a state dict.
    output : the output that answers, where forward() returns several.

    Raises
    ------
    FileError, UnsupportedLayer, ConversionError, DataError
        As the conversion itself does.
    """
    # torch is loaded here, and only here
    from spikeflow.convert.capture.refusals import APPROXIMATIONS
    from spikeflow.convert.capture.traced import capture
    from spikeflow.convert.load import source as sources
    from spikeflow.convert.options import ConvertOptions
    from spikeflow.convert.outputs import ann_accuracy, described
    from spikeflow.convert.passes.fold import fold_batch_norm
    from spikeflow.convert.passes.forward import outputs_of

    network = sources.opened(source, arch, samples.x.shape[1:])
    captured = capture(sources.traced(network, samples.x, None), APPROXIMATIONS)
    graph = captured.graph
    fitting(samples, graph.shapes[graph.inputs[0]])
    if samples.y is None:
        return None
    outputs, chosen = described(captured.outputs, ConvertOptions(output=output), samples.y)
    kept = []
    for first in range(0, len(samples.x), BATCH):
        kept.append(outputs_of(graph, samples.x[first : first + BATCH]))
        if progress is not None:
            progress(min(first + BATCH, len(samples.x)), len(samples.x))
    logits = {name: np.concatenate([part[name] for part in kept]) for name in graph.outputs}
    answering = next((o for o in outputs if o.name == chosen), None)
    found = ann_accuracy(logits, samples.y, answering)
    if found is None:
        return None
    return AnnFacts(
        found, len(samples.x), "measured on the same samples", fold_batch_norm(graph).graph.digest
    )
