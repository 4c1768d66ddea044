"""What is importable is what is listed, both ways; the package's face loads nothing before it is asked for it."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import spikeflow
from spikeflow import _HOMES

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "spikeflow",
    "spikeflow.convert",
    "spikeflow.datasets",
    "spikeflow.hw",
    "spikeflow.neurons",
    "spikeflow.report",
    "spikeflow.sim",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_listed_names_exist_and_are_sorted(name: str) -> None:
    module = importlib.import_module(name)
    assert all(getattr(module, listed) is not None for listed in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


def test_the_three_names_of_the_issue() -> None:
    from spikeflow.convert import convert
    from spikeflow.hw import map_network
    from spikeflow.sim import run

    assert callable(convert) and callable(map_network) and callable(run)


def test_the_face_lists_types_and_gives_the_same_names() -> None:
    """`__all__`, the table by which names are loaded, and what a type checker is told."""
    given = {n.partition("=")[0] for names in _HOMES.values() for n in names.split()}
    assert {*given, "convert", "__version__"} == set(spikeflow.__all__) <= set(dir(spikeflow))
    tree = ast.parse(Path(spikeflow.__file__).read_text())
    block = next(
        n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"
    )
    told = {
        (alias.asname or alias.name): (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(told) == {*given, "convert"}
    for name, (module, inside) in told.items():
        if name != "convert":
            assert getattr(spikeflow, name) is getattr(importlib.import_module(module or ""), inside), name


@pytest.mark.parametrize(
    "before", ["", "import spikeflow.convert;", "from spikeflow.convert import convert;"]
)
def test_convert_is_one_thing_whatever_was_imported_before(before: str) -> None:
    code = (
        f"{before}import sys, spikeflow; from spikeflow import convert;"
        "assert convert is spikeflow.convert is sys.modules['spikeflow.convert'];"
        "import pytest, spikeflow.errors as e;"
        "pytest.raises(e.SpikeflowError, spikeflow.convert, 'no_such_file.pt', steps=4)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, spikeflow; spikeflow.__version__; dir(spikeflow);"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'torch', 'h5py', 'click', 'scipy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        spikeflow.nothing  # noqa: B018  # type: ignore[attr-defined]


def test_both_spellings() -> None:
    assert spikeflow.quantize is spikeflow.quantise


def test_the_version_stands_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == spikeflow.__version__


def test_the_page_of_what_is_stable_names_every_listed_name() -> None:
    page = (ROOT / "docs" / "stability.md").read_text()
    assert [name for name in spikeflow.__all__ if f"`{name}`" not in page] == []
