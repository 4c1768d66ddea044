"""Modules import each other without circles, late imports included; each late import stands here with its reason."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.test_floors import _name, _sources

# module: what it imports inside functions, so that whoever does not need it does not pay for it. Commands (`cli`)
# load their parts that way and are not listed; nor are packages from elsewhere below.
LATE = {
    "spikeflow": "importlib spikeflow.moved",  # quick to load: Ctrl-C is taken only behind it
    "spikeflow.report.network.ann": "spikeflow.convert",  # torch
    "spikeflow.report.network.collect": "spikeflow.report.network.hardware spikeflow.hw.tables.origin",  # hw
    "spikeflow.report.network.write": "spikeflow.report.network.page",  # jinja2 and matplotlib
    "spikeflow.report.recording.write": "spikeflow.report.recording",  # matplotlib, of the form that is asked for
    "spikeflow.sim": "spikeflow.sim.engine spikeflow.sim.reference",  # the one that is asked for
}
HEAVY = {"torch", "rich", "PIL", "scipy", "matplotlib", "jinja2", "hdf5plugin", "tonic", "numpy"}
MODULES = {_name(path): path for path in _sources()}


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """What a module imports, of our own modules the module itself; and whether inside a function."""
    tree = ast.parse(path.read_text())
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in MODULES else node.module), id(node) in inside


def _graph() -> dict[str, set[str]]:
    found = {name: {other for other, _ in _imports(path)} for name, path in MODULES.items()}
    return {name: (others & MODULES.keys()) - {name} for name, others in found.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The sets of modules that reach each other (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in sorted(edges):
        if name not in number:
            visit(name)
    return found


def depth(edges: dict[str, set[str]]) -> dict[str, int]:
    """How many modules stand one upon the other below each, itself counted; only without circles."""
    found: dict[str, int] = {}

    def measure(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((measure(other) for other in edges[name]), default=0)
        return found[name]

    for name in edges:
        measure(name)
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_no_module_imports_itself_by_way_of_others() -> None:
    sys.setrecursionlimit(10_000)
    edges = _graph()
    assert len(edges) > 300
    assert circles(edges) == []


def test_every_late_import_has_its_reason() -> None:
    wrong, used = [], set()
    for name, path in MODULES.items():
        allowed = LATE.get(name, "").split()
        for other, late in _imports(path):
            if not late or name.startswith(("spikeflow.cli", "spikeflow.__main__")):
                continue
            if other.startswith("spikeflow."):
                fits = [a for a in allowed if other == a or other.startswith(f"{a}.")]
                used |= {(name, a) for a in fits}
                wrong += [] if fits else [f"{name}: {other}"]
            elif other in allowed:
                used.add((name, other))
            elif other.partition(".")[0] not in HEAVY:
                wrong.append(f"{name}: {other}")
    assert not wrong, "\n".join(wrong)
    listed = {(name, a) for name, allowed in LATE.items() for a in allowed.split()}
    assert used == listed, "no longer imported late"
