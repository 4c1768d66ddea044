"""Alphabets: values and bits by name."""

from __future__ import annotations

import pytest

from spikeflow.convert.options import ConvertOptions
from spikeflow.errors import ConversionError, GraphError
from spikeflow.ir.alphabet import alphabet


def test_binary_is_one_bit() -> None:
    found = alphabet("binary")
    assert (found.values, found.bits, found.high, found.signed) == ((0, 1), 1, 1, False)


@pytest.mark.parametrize("name", ["", "ternary", "binary:2", "Binary", "burst", "burst:0", "burst:17", "multi-threshold:-1", "burst:2.5"])
def test_what_is_no_alphabet_is_refused_by_name(name: str) -> None:
    with pytest.raises(GraphError, match="binary"):
        alphabet(name)
    with pytest.raises(ConversionError, match="--alphabet"):
        ConvertOptions(alphabet=name)


@pytest.mark.parametrize(
    ("name", "values", "bits"),
    [
        ("signed", (-1, 0, 1), 2),
        ("burst:3", (0, 1, 2, 3), 2),
        ("burst:4", (0, 1, 2, 3, 4), 3),
        ("multi-threshold:1", (-1, 0, 1), 2),
        ("multi-threshold:3", (-4, -2, -1, 0, 1, 2, 4), 3),
    ],
)
def test_bits_are_those_of_the_number_of_values(name: str, values: tuple[int, ...], bits: int) -> None:
    found = alphabet(name)
    assert found.values == values and found.bits == bits and found.signed == (values[0] < 0)
