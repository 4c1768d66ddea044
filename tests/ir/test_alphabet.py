"""Alphabets: values and bits by name."""

from __future__ import annotations

import pytest

from spikeflow.convert.options import ConvertOptions
from spikeflow.errors import ConversionError, GraphError
from spikeflow.ir.alphabet import alphabet


def test_binary_is_one_bit() -> None:
    found = alphabet("binary")
    assert (found.values, found.bits, found.high, found.signed) == ((0, 1), 1, 1, False)


@pytest.mark.parametrize("name", ["", "ternary", "binary:2", "Binary"])
def test_what_is_no_alphabet_is_refused_by_name(name: str) -> None:
    with pytest.raises(GraphError, match="binary"):
        alphabet(name)
    with pytest.raises(ConversionError, match="--alphabet"):
        ConvertOptions(alphabet=name)
