"""Files, classes and functions keep their size. Docstrings are prose and do not count; comments and blank lines do.

Lines are at most 110 characters long: ruff checks that. `benchmarks/measures.py` prints the longest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.structure import ROOT, definitions, sources

FILE, CLASS, FUNCTION = 400, 150, 40  # lines


def _too_long() -> Iterator[str]:
    for path in sources():
        place = path.relative_to(ROOT)
        if (count := path.read_text().count("\n")) > FILE:
            yield f"{place}: {count} lines"
        for node, count in definitions(path):
            most = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            if count > most:
                yield f"{place}:{node.lineno}: {node.name} has {count} lines, not {most} at most"


def test_nothing_is_too_long() -> None:
    assert list(_too_long()) == []


def test_docstrings_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text('"""A file."""\n\ndef f():\n    """One\n\n    two."""\n    # three\n    return 1\n')
    assert [(node.name, count) for node, count in definitions(path)] == [("f", 3)]
