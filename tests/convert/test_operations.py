"""Linear operations and pooling, drawn at random: the graph gives torch's values, the engine the reference's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.network_file import load
from spikeflow.convert.passes.fold import fold
from spikeflow.convert.passes.forward import forward
from tests.convert.networks import answers, captured, samples, settled
from tests.convert.operations import DRAWN, Draw

EACH = 24  # draws of each kind


@pytest.mark.parametrize("kind", DRAWN)
def test_what_is_captured_gives_torchs_values(kind: str) -> None:
    """Samples are normal numbers; sums are within 1e-5 of the largest value."""
    for seed in range(EACH):
        module, shape = DRAWN[kind](Draw(seed))
        module, x = settled(module, seed), samples(shape, 3, seed)
        with torch.no_grad():
            expected = module(torch.from_numpy(x)).numpy()
        graph = captured(module, shape).graph
        for stage in (graph, fold(graph)):
            found = forward(stage, x).reshape(expected.shape)
            bound = 1e-5 * max(float(np.abs(expected).max()), 1.0)
            np.testing.assert_allclose(found, expected, atol=bound, err_msg=f"{kind} {seed} {module}")


@pytest.mark.parametrize("kind", ["dense", "transposed", "average", "largest", "over_axes", "norm"])
def test_so_it_does_where_an_archive_holds_torchs_smaller_operations(kind: str, tmp_path: Path) -> None:
    """As `run_decompositions` writes them: a linear layer is a product of matrices over all samples at once."""
    for seed in range(4):
        module, shape = DRAWN[kind](Draw(seed))
        module, x = settled(module, seed), samples(shape, 3, seed)
        example = (torch.zeros(2, *shape),)
        program = torch.export.export(module, example, dynamic_shapes=({0: torch.export.Dim.AUTO},))
        torch.export.save(program.run_decompositions(), tmp_path / f"{seed}.pt2")
        expected = answers(module, x)
        archive: Any = load(tmp_path / f"{seed}.pt2")
        found = forward(capture(archive).graph, x).reshape(expected.shape)
        bound = 1e-5 * max(float(np.abs(expected).max()), 1.0)
        np.testing.assert_allclose(found, expected, atol=bound, err_msg=f"{kind} {seed} {module}")
