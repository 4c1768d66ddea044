"""Imports go downwards only; hardware and simulation never load torch; the C++ core knows no Python."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.structure import ROOT, module, sources

FLOORS = {
    "errors": -1,
    "frozen": -1,
    "moved": -1,
    "typing": -1,
    "version": -1,
    "counters": 0,
    "events": 0,
    "installation": 4,
    "files": 0,
    "sound": 0,
    "intake": 0,
    "calibration": 0,
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
    "populations": 3,
    "readers": 4,
    "cli": 5,
    "__main__": 6,
}
TORCH_PARTS = {"neurons", "convert", "train", "flows"}
TORCH_FILES = {"spikeflow.datasets.loading.loader"}


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
    for path in sources():
        me = module(path)
        if me == "spikeflow":
            continue
        for other in _imports(path):
            if not other.startswith("spikeflow."):
                continue
            if _part(other) not in FLOORS:  # `from spikeflow import encode`
                continue
            same = _part(me) == _part(other)
            if not same and _floor(other) >= _floor(me):
                wrong.append(f"{me} (floor {_floor(me)}) imports {other} (floor {_floor(other)})")
    assert not wrong, "\n".join(wrong)


def test_the_data_sets_are_walked() -> None:
    names = {module(path) for path in sources()}
    assert {
        "spikeflow.datasets",
        "spikeflow.datasets.loading.loader",
        "spikeflow.datasets.transforms.cochlea",
    } <= names


def test_torch_appears_only_where_it_may() -> None:
    found = {
        module(path)
        for path in sources()
        if any(i.split(".")[0] in ("torch", "torchvision", "torchaudio") for i in _imports(path))
    }
    wrong = {name for name in found - TORCH_FILES if name == "spikeflow" or _part(name) not in TORCH_PARTS}
    assert not wrong, wrong
    assert found >= TORCH_FILES


def test_nothing_below_imports_what_loads_torch() -> None:
    wrong = [
        module(path)
        for path in sources()
        if any(i.startswith(tuple(TORCH_FILES)) for i in _imports(path))
        and _floor(module(path)) <= _floor("spikeflow.datasets")
    ]
    assert not wrong, wrong


def test_hardware_and_simulation_load_no_torch() -> None:
    code = (
        "import sys, spikeflow.hw, spikeflow.sim, spikeflow.sim.classify, spikeflow.neurons, spikeflow.ir.file,"
        " spikeflow.cli.run, spikeflow.cli.map, spikeflow.cli.show, spikeflow.cli.convert; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_event_data_load_no_torch(tmp_path: Path) -> None:
    from spikeflow.datasets import write
    from spikeflow.events import Events

    write(tmp_path / "a.bin", Events([1, 2], [3, 4], [5, 6], [0, 1]))
    code = (
        "import sys, spikeflow.datasets, spikeflow.datasets.loading.batch, spikeflow.datasets.loading.cache, spikeflow.datasets.loading.collate;"
        "import spikeflow.datasets.transforms.cochlea, spikeflow.datasets.transforms.pixel_frequency;"
        "assert len(spikeflow.datasets.read(sys.argv[1])) == 2;"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.bin"], check=False)
    assert done.returncode == 0


def test_the_engine_includes_no_python() -> None:
    files = [*(ROOT / "src/engine").glob("*.hpp"), *(ROOT / "src/engine").glob("*.cpp")]
    assert files
    for path in files:
        text = path.read_text()
        assert "Python.h" not in text and "nanobind" not in text and "torch" not in text, path
