"""Chip tables: every number has a source, the word rule is the published one, unknown chips are refused."""

from __future__ import annotations

import numpy as np
import pytest

from spikeflow.errors import HardwareError
from spikeflow.hw.chips.chip import NAMES, load


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name: str) -> None:
    chip = load(name)
    facts = dict(chip.facts())
    assert chip.name == name and len(facts) > 15
    assert all(len(f.source) > 5 for f in facts.values())
    assert "memory.limit" in facts and not facts["memory.limit"].assumed


def test_sizes_are_those_of_the_decisions() -> None:
    loihi1, loihi2, spinnaker2 = (load(n) for n in NAMES)
    assert (loihi1.grid.cores, loihi2.grid.cores, spinnaker2.grid.cores) == (128, 128, 152)
    assert loihi1.neurons.value * loihi1.grid.cores == 131072
    assert loihi2.memory.limit.value == 192 * 1024 * 8
    assert spinnaker2.memory.limit.value - spinnaker2.memory.overhead.value == 96 * 1024 * 8
    assert [c.delays.maximum.value for c in (loihi1, loihi2, spinnaker2)] == [8, 64, 8]
    assert loihi1.delays.from_input.value == 2


@pytest.mark.parametrize(
    ("synapses", "bits", "words"), [(1, 18, 64), (8, 18, 192), (16, 18, 320), (64, 18, 1216)]
)
def test_short_axons_waste_words(synapses: int, bits: int, words: int) -> None:
    assert load("loihi1").memory.list_bits(np.array([synapses]), bits).tolist() == [words]


@pytest.mark.parametrize(("bits", "axons"), [(8, 113), (16, 60), (18, 53), (24, 40), (14, 68), (1, 512)])
def test_axons_of_1024_that_fit_a_core(bits: int, axons: int) -> None:
    memory = load("loihi1").memory
    assert memory.limit.value // memory.list_bits(np.array([1024]), bits)[0] == axons


def test_index_widths_are_those_of_the_chip() -> None:
    assert [load("loihi1").memory.synapse_bits(i, 0) - 8 for i in (0, 1, 6, 7, 12)] == [0, 6, 6, 7, 12]
    assert [load("spinnaker2").memory.synapse_bits(i, d) for i, d in ((8, 0), (8, 3), (10, 3))] == [
        16,
        32,
        32,
    ]


@pytest.mark.parametrize("name", ["loihi3", "os.path", "no.such.module", "../loihi1"])
def test_unknown_chip(name: str) -> None:
    with pytest.raises(HardwareError, match="no such chip"):
        load(name)
