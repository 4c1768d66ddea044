"""Files, classes and functions keep their size. Docstrings are prose and do not count; comments and blank lines do.

Lines are at most 110 characters long: ruff checks that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.test_floors import ROOT, _sources

FILE, CLASS, FUNCTION = 400, 150, 40  # lines
Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _lines(node: Defined) -> int:
    """Lines of a definition without the docstrings in it."""
    prose = 0
    for inner in ast.walk(node):
        if isinstance(inner, Defined) and ast.get_docstring(inner, clean=False) is not None:
            text = inner.body[0]
            prose += (text.end_lineno or text.lineno) - text.lineno + 1
    return (node.end_lineno or node.lineno) - node.lineno + 1 - prose


def _too_long() -> Iterator[str]:
    for path in _sources():
        text, place = path.read_text(), path.relative_to(ROOT)
        if (count := text.count("\n")) > FILE:
            yield f"{place}: {count} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Defined):
                most = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
                if (count := _lines(node)) > most:
                    yield f"{place}:{node.lineno}: {node.name} has {count} lines, not {most} at most"


def test_nothing_is_too_long() -> None:
    assert list(_too_long()) == []


def test_docstrings_do_not_count() -> None:
    node = ast.parse('def f():\n    """One\n\n    two."""\n    # three\n    return 1').body[0]
    assert isinstance(node, ast.FunctionDef) and _lines(node) == 3
