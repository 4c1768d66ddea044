"""The package as a structure: its files, what they import, how long they and what they define are.

`root` is a copy of the project; the tests hold limits on what stands here, `benchmarks/measures.py` prints it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Edges = dict[str, set[str]]


def sources(root: Path = ROOT) -> list[Path]:
    """The Python files of the package."""
    return sorted([*(root / "spikeflow").rglob("*.py"), *(root / "datasets").rglob("*.py")])


def module(path: Path, root: Path = ROOT) -> str:
    """The name of a file's module; the folder `datasets` is the package `spikeflow.datasets`."""
    parts = path.relative_to(root).with_suffix("").parts
    inside = ("spikeflow", *parts) if parts[0] == "datasets" else parts
    return ".".join(inside).removesuffix(".__init__")


def imports(path: Path, modules: set[str]) -> Iterator[tuple[str, bool]]:
    """What a file imports, of `modules` the module itself; and whether inside a function."""
    tree = ast.parse(path.read_text())
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in modules else node.module), id(node) in inside


def importing(root: Path = ROOT) -> Edges:
    """Each module, and those of the package that it imports, late or not."""
    paths = {module(path, root): path for path in sources(root)}
    found = {name: {other for other, _ in imports(path, set(paths))} for name, path in paths.items()}
    return {name: (others & paths.keys()) - {name} for name, others in found.items()}


def circles(edges: Edges) -> list[list[str]]:
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


def depth(edges: Edges) -> dict[str, int]:
    """How many modules stand one upon the other below each, itself counted; a circle counts as one."""
    one = {name: circle[0] for circle in circles(edges) for name in circle}
    joined: Edges = {}
    for name, others in edges.items():
        joined.setdefault(one.get(name, name), set()).update(one.get(other, other) for other in others)
    found: dict[str, int] = {}

    def measure(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((measure(other) for other in joined[name] - {name}), default=0)
        return found[name]

    for name in joined:
        measure(name)
    return found


def prose(node: ast.AST) -> int:
    """Lines of the docstrings in a file or a definition."""
    found = 0
    for inner in ast.walk(node):
        if isinstance(inner, Defined | ast.Module) and ast.get_docstring(inner, clean=False) is not None:
            text = inner.body[0]
            found += (text.end_lineno or text.lineno) - text.lineno + 1
    return found


def definitions(path: Path) -> Iterator[tuple[Defined, int]]:
    """The classes and functions of a file, each with its lines without the docstrings in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Defined):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1 - prose(node)
