"""How large and how tangled the code is, now and in an earlier commit.

    python benchmarks/measures.py [--before 2bb3037] [--out FILE.json]

Lines of code are those that are neither blank nor a comment nor part of a docstring; sizes of files, classes and functions
leave out docstrings only. Files to touch are those that the how-to page of a change names, tests and documents apart.
Pairs are those of the command `duplicates`, where the machine has it; it reads tests and benchmarks, too.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.structure import circles, definitions, depth, importing, imports, module, prose, sources  # noqa: E402

PLACE = re.compile(r"^(?:New file|In) `([^`]+)`", re.M)
NOT_SOURCES = ("tests/", "docs/", "examples/", "benchmarks/")


BARE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def python_lines(paths: list[Path]) -> dict[str, int]:
    """Lines of Python files: all, those of docstrings, and those of code."""
    lines = docstrings = code = 0
    for path in paths:
        text = path.read_text()
        said = prose(ast.parse(text))
        read = tokenize.generate_tokens(io.StringIO(text).readline)
        filled = {n for t in read if t.type not in BARE for n in range(t.start[0], t.end[0] + 1)}
        lines, docstrings, code = lines + text.count("\n"), docstrings + said, code + len(filled) - said
    return {"lines": lines, "docstrings": docstrings, "code": code}


def longest(root: Path) -> dict[str, str]:
    """The longest file, class and function, docstrings left out."""
    files = {
        p.relative_to(root): p.read_text().count("\n") - prose(ast.parse(p.read_text()))
        for p in sources(root)
    }
    place = max(files, key=lambda p: files[p])
    found = {"file": f"{files[place]} ({place})"}
    for what, kinds in (("class", (ast.ClassDef,)), ("function", (ast.FunctionDef, ast.AsyncFunctionDef))):
        sizes = [
            (n, node.name) for p in sources(root) for node, n in definitions(p) if isinstance(node, kinds)
        ]
        found[what] = "{} ({})".format(*max(sizes))
    return found


def tangle(root: Path) -> dict[str, int]:
    """Of the imports between modules of the package."""
    edges, known = importing(root), {module(p, root) for p in sources(root)}
    late = {
        (module(p, root), other)
        for p in sources(root)
        for other, inside in imports(p, known)
        if inside and other in known
    }
    commands = {pair for pair in late if pair[0].startswith("spikeflow.cli")}
    return {
        "modules": len(edges),
        "import depth": max(depth(edges).values()),
        "circles": len(circles(edges)),
        "modules in circles": sum(map(len, circles(edges))),
        "late imports": len(late - commands),
        "late imports of commands": len(commands),
    }


def to_touch(root: Path) -> dict[str, int]:
    """How many source files each page of how to add something changes before its first command."""
    pages = sorted((root / "docs/how-to").glob("add_a*.md"))
    named = {
        page.stem.removeprefix("add_").replace("_", " "): set(
            PLACE.findall(page.read_text().partition("```sh")[0])
        )
        for page in pages
    }
    return {what: sum(not f.startswith(NOT_SOURCES) for f in files) for what, files in named.items()}


def pairs(root: Path) -> int | None:
    """Places that share six or more lines."""
    if shutil.which("duplicates") is None:
        return None
    told = subprocess.run(
        ["duplicates", "--seconds", "300", "--repo", str(root)], capture_output=True, text=True, check=True
    )
    found = re.match(r"(\d+) pairs", told.stdout)
    return int(found[1]) if found else None


def measures(root: Path) -> dict[str, Any]:
    """All of a copy of the project."""
    cpp = [p for p in sorted((root / "src").rglob("*")) if p.suffix in (".cpp", ".hpp", ".inc")]
    return {
        **{f"Python: {what}": n for what, n in python_lines(sources(root)).items()},
        "C++: lines": sum(p.read_text().count("\n") for p in cpp),
        **{f"longest {what}": size for what, size in longest(root).items()},
        **tangle(root),
        "pairs": pairs(root),
        **{f"files to add {what}": n for what, n in to_touch(root).items()},
    }


def at(commit: str, folder: Path) -> Path:
    """A copy of the project as it was at a commit."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Print a table, and write it as JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--before", help="a commit to measure, too")
    parser.add_argument("--out", type=Path, help="file to write, as JSON")
    options = parser.parse_args()
    sys.setrecursionlimit(10_000)
    found = {"now": measures(ROOT)}
    if options.before:
        with tempfile.TemporaryDirectory() as folder:
            found = {options.before: measures(at(options.before, Path(folder))), **found}
    print("| measure |", " | ".join(found), "|")
    print("|---|", "---|" * len(found), sep="")
    for name in found["now"]:
        print(f"| {name} |", " | ".join(_cell(column.get(name)) for column in found.values()), "|")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
