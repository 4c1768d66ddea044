"""The API reference is made of docstrings: every public name has one, and stands in its page."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import sys
from inspect import ismodule
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("pdoc", reason="the reference is made by pdoc, of the extra `test`")
MADE: dict[str, Any] = runpy.run_path(str(ROOT / "docs/reference.py"))
PUBLIC: dict[str, list[str]] = MADE["public"]()


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_says_what_it_is(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__ and PUBLIC[package]
    for name in PUBLIC[package]:
        value = getattr(module, name)
        if callable(value):
            assert (value.__doc__ or "").strip(), f"{package}.{name} has no docstring"


def test_the_reference_has_them_all(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, ROOT / "docs/reference.py", tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "does not resolve" not in done.stderr, done.stderr[-2000:]
    for package, names in PUBLIC.items():
        page = (tmp_path / f"{package.replace('.', '/')}.html").read_text()
        # `spikeflow.convert`, a package that can be called, has a page of its own
        members = [name for name in names if not ismodule(getattr(importlib.import_module(package), name))]
        missing = [name for name in members if f'id="{name}"' not in page]
        assert not missing, f"{package}: {', '.join(missing)}"


def test_the_first_reading_is_short() -> None:
    page = (ROOT / "docs/reading.md").read_text()
    files = re.findall(r"^\| `([^`]+)`", page, flags=re.M)
    assert len(files) == 7
    assert sum(len((ROOT / name).read_text().splitlines()) for name in files) < 1000
    for name in re.findall(r"`((?:docs|spikeflow|src|datasets)/[\w/]+\.\w+)`", page):
        assert (ROOT / name).is_file(), name
