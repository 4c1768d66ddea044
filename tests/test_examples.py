"""The examples run, and what the tutorial and the README show works as shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _run(*command: str, cwd: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("example")
    _run(sys.executable, str(ROOT / "examples/train_ann.py"), "--out", str(out), "--epochs", "4", cwd=out)
    return out


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), flags=re.S)


def test_readme_script(folder: Path) -> None:
    (block,) = _blocks(ROOT / "README.md", "python")
    printed = _run(sys.executable, "-c", block, cwd=folder)
    spiking, mapped = (float(v) for v in re.findall(r"(?:spiking|mapped integers): ([\d.]+)", printed))
    assert spiking > 0.8 and abs(spiking - mapped) <= 0.02


def test_tutorial(folder: Path) -> None:
    document = ROOT / "docs/tutorials/from_ann_to_chip.md"
    for command in "".join(_blocks(document, "sh")).replace("\\\n", " ").strip().splitlines():
        assert _run("bash", "-c", command, cwd=folder).strip()
    _run(sys.executable, "-c", "\n".join(_blocks(document, "python")), cwd=folder)


@pytest.mark.parametrize("script", ["train_lif.py", "train_two_point.py"])
def test_directly_trained(script: str, tmp_path: Path) -> None:
    printed = _run(sys.executable, str(ROOT / "examples" / script), "--smoke", cwd=tmp_path)
    assert "torch:" in printed and "engine:" in printed and "mapped, on" in printed
    assert re.search(r"\b0 unexplained", printed), printed
    assert "loihi1 cannot take this network" in printed or "loihi1:" in printed
