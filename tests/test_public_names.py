"""What is importable is what is listed."""

from __future__ import annotations

import importlib

import pytest

PACKAGES = ("spikeflow.convert", "spikeflow.hw", "spikeflow.neurons", "spikeflow.sim")


@pytest.mark.parametrize("name", PACKAGES)
def test_listed_names_exist_and_are_sorted(name: str) -> None:
    module = importlib.import_module(name)
    assert all(getattr(module, listed) is not None for listed in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


def test_the_three_names_of_the_issue() -> None:
    from spikeflow.convert import convert
    from spikeflow.hw import map_network
    from spikeflow.sim import run

    assert callable(convert) and callable(map_network) and callable(run)
