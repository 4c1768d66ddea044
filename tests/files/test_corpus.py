"""Every reader on every bomb of the corpus: one of our errors, or an answer, within the law of memory and time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.corpus import CORPUS
from tests.files.measured import measure, within_law
from tests.files.readers import READERS

SIZES = (4_000, 100_000)
CLOCK_S = 20


@pytest.mark.parametrize("name", CORPUS)
def test_bombs(tmp_path: Path, name: str) -> None:
    case = CORPUS[name]
    for size in SIZES:
        path = tmp_path / f"bomb{case.suffix}"
        path.write_bytes(case.make(size))
        outcome = measure(READERS[case.reader], path, CLOCK_S)
        length = path.stat().st_size
        assert within_law(outcome, length, case.packed), (name, length, outcome)
