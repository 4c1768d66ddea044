"""Answers as a file: predictions and outputs of every sample, in numpy's ``.npz``."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from spikeflow.files.opened import PathLike
from spikeflow.files.write import replace_file
from spikeflow.ir.answer import VALUE
from spikeflow.sim.evaluation import Evaluation
from spikeflow.typing import Array


def answers(evaluation: Evaluation) -> dict[str, Array]:
    """What is written, by name; of several outputs each name ends in ``.`` and that of the output.

    ``accumulators`` ``(N, *shape)`` are what an output has added up in all steps, ``values`` the same in the
    units of the network before conversion, where these are known; ``predictions`` and ``tied`` stand beside
    outputs of classes, ``(N,)``, or ``(N, *S)`` for a map; ``y`` are the labels, where they came with the
    samples.
    """
    found: dict[str, Array] = {} if evaluation.y is None else {"y": evaluation.y}
    for name in evaluation.outputs:
        end = f".{name}" if len(evaluation.outputs) > 1 else ""
        found[f"accumulators{end}"] = evaluation.accumulated(output=name)
        about = evaluation.about.get(name)
        if about is not None and about.final != "other":
            found[f"values{end}"] = evaluation.values(output=name)
        if evaluation.kind(name, evaluation.y if name == evaluation.chosen else None) != VALUE:
            found[f"predictions{end}"] = evaluation.predictions(output=name)
            found[f"tied{end}"] = evaluation.tied(output=name)
    return found


def write_answers(path: PathLike, evaluation: Evaluation, names: Sequence[str] = ()) -> None:
    """Write `answers`, whole or not at all; beside them the names of the files that the samples came from.

    Raises
    ------
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    image = io.BytesIO()
    named = {"names": np.array(names)} if names else {}
    np.savez(image, **answers(evaluation), **named)  # pyright: ignore[reportArgumentType]  numpy types the names as flags
    replace_file(path, (image.getvalue(),))
