"""How numbers read."""

from __future__ import annotations

import pytest

from spikeflow.report import words
from spikeflow.report.network.facts import CostLine, Spread
from spikeflow.report.network.pictures import fidelity
from spikeflow.report.network.verdicts import over_steps, tables


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1.234e-6, "J", "1.23 µJ"),
        (0.0, "s", "0 s"),
        (4.1e-3, "s", "4.1 ms"),
        (2.5e-13, "J", "0.25 pJ"),
        (12.0, "s", "12 s"),
        (None, "J", "not published"),
    ],
)
def test_a_quantity_has_its_prefix(value: float | None, unit: str, said: str) -> None:
    assert words.quantity(value, unit) == said


@pytest.mark.parametrize(("value", "said"), [(12345, "12,345"), (0.5, "0.5"), (1234.5, "1,234"), (0, "0")])
def test_a_count(value: float, said: str) -> None:
    assert words.count(value) == said


def test_a_spread_of_equal_values_is_one_number() -> None:
    assert words.spread(Spread(1.0, 1.0, 1.0)) == "1"
    assert words.spread(Spread(0.5, 1.0, 2.0)) == "0.5 / 1 / 2"


def test_a_constant_says_that_it_is_not_published() -> None:
    assert words.constant(CostLine("x", 1, None, "pJ", "nobody")) == "not published"
    assert words.constant(CostLine("x", 1, 0.9, "pJ", "a paper")) == "0.9 pJ"


def test_lists_of_records_become_tables() -> None:
    records, rest = tables({"verdicts": [{"node": "a", "n": 1}, {"node": "b", "n": 2.5}], "data_free": False})
    assert (
        records.columns == ("node", "n")
        and records.rows == (("a", "1"), ("b", "2.5"))
        and records.numbers == {1}
    )
    assert rest.rows == (("data free", "no"),)


def test_a_huge_note_stays_small() -> None:
    (table,) = tables({"rows": [{str(c): "x" * 9999 for c in range(99)}] * 3000})
    assert len(table.rows) == 2000 and len(table.columns) == 16 and len(table.rows[0][0]) == 300


def test_curves_of_the_conversion_are_read_and_nothing_else_is() -> None:
    note = {
        "fidelity": {
            "over_steps": {"2": 0.5, "16": 1.0, "x": 1.0, "4": None},
            "error_over_steps": {"16": 0.25},
        },
        "read_out": {"exit": {"curve": [{"mean_steps": 3.5, "agreement": 0.75}, {"mean_steps": "no"}, 7]}},
    }
    found = over_steps(note)
    assert list(found.values()) == [[(2.0, 0.5), (16.0, 1.0)], [(16.0, 0.25)], [(3.5, 0.75)]]
    svg = fidelity(found)
    assert all(title in svg for title in found) and svg.startswith("<svg")
    for broken in (
        {},
        {"fidelity": 3},
        {"fidelity": {"over_steps": [1]}},
        {"read_out": {"exit": {"curve": {}}}},
    ):
        assert over_steps(broken) == {} and fidelity(over_steps(broken)) == ""
