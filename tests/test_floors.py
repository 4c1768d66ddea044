"""Imports go downwards only; hardware and simulation never load torch; the C++ core knows no Python."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = {
    "errors": -1,
    "events": 0,
    "samples": 1,
    "encode": 1,
    "ir": 1,
    "neurons": 2,
    "sim": 2,
    "convert": 3,
    "train": 3,
    "hw": 3,
    "datasets": 3,
    "flows": 4,
    "report": 4,
    "plot": 4,
    "cli": 5,
}
TORCH_PARTS = {"neurons", "convert", "train", "flows"}


def _sources() -> list[Path]:
    return sorted((ROOT / "spikeflow").rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _floor(module: str) -> int:
    return FLOORS[module.split(".")[1]]


def _part(module: str) -> str:
    return module.split(".")[1]


def test_imports_go_downwards() -> None:
    wrong = []
    for path in _sources():
        me = _name(path)
        if me == "spikeflow":
            continue
        for other in _imports(path):
            if not other.startswith("spikeflow.") or other == "spikeflow.__version__":
                continue
            if _part(other) not in FLOORS:  # `from spikeflow import encode`
                continue
            same = _part(me) == _part(other)
            if not same and _floor(other) >= _floor(me):
                wrong.append(f"{me} (floor {_floor(me)}) imports {other} (floor {_floor(other)})")
    assert not wrong, "\n".join(wrong)


def test_torch_appears_only_where_it_may() -> None:
    wrong = [
        _name(path)
        for path in _sources()
        if any(i.split(".")[0] == "torch" for i in _imports(path)) and _part(_name(path)) not in TORCH_PARTS
    ]
    assert not wrong, wrong


def test_hardware_and_simulation_load_no_torch() -> None:
    code = (
        "import sys, spikeflow.hw, spikeflow.sim, spikeflow.sim.classify, spikeflow.neurons, spikeflow.ir.file,"
        " spikeflow.cli.run, spikeflow.cli.map, spikeflow.cli.show, spikeflow.cli.convert; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_engine_includes_no_python() -> None:
    sources = [*(ROOT / "src/engine").glob("*.hpp"), *(ROOT / "src/engine").glob("*.cpp")]
    assert sources
    for path in sources:
        text = path.read_text()
        assert "Python.h" not in text and "nanobind" not in text and "torch" not in text, path


def test_files_keep_their_size() -> None:
    long = {str(p.relative_to(ROOT)): n for p in _sources() if (n := p.read_text().count("\n")) > 500}
    assert not long, long
