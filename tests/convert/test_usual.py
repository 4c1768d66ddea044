"""What stands around a call, and modules without numbers: neither changes what comes out without a word."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import agreement, convert, explain
from spikeflow.errors import ConversionError
from tests.convert.networks import samples


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5)).eval()


AROUND: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "a device without numbers": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
}


@pytest.mark.parametrize("name", AROUND)
def test_what_is_around_a_call_changes_nothing(name: str) -> None:
    module, x = net(), samples((6,), 120)
    plain = convert(module, x, steps=16)
    wanted = agreement(plain, x[:20])
    with AROUND[name]():
        found = convert(module, x, steps=16)
        again, told = agreement(found, x[:20]), explain(module, x, steps=16)
    assert found.network.graph.digest == plain.network.graph.digest and again == wanted
    assert found.fidelity == plain.fidelity and told.verdicts == explain(module, x, steps=16).verdicts


def test_a_type_that_was_made_the_default_changes_nothing() -> None:
    module, x = net(), samples((6,), 120)
    plain = convert(module, x, steps=16)
    torch.set_default_dtype(torch.float64)
    try:
        assert convert(module, x, steps=16).network.graph.digest == plain.network.graph.digest
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_lazy_layer_is_named_and_left_as_it_was() -> None:
    """Tracing made its weights, on a device without memory: the module could not be used afterwards."""
    lazy = nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3))
    with pytest.raises(ConversionError, match="0.weight: has no shape yet"):
        convert(lazy, samples((6,), 40))
    lazy(torch.randn(8, 6))
    assert convert(lazy, samples((6,), 120), steps=16).report.difference < 1e-4


def test_weights_without_numbers_are_named() -> None:
    empty = nn.Sequential(nn.Linear(6, 16, device="meta"), nn.ReLU(), nn.Linear(16, 3))
    with pytest.raises(ConversionError, match="0.weight: lies on the device meta"):
        convert(empty, np.ones((40, 6), np.float32))
