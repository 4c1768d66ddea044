"""Every page that says how to add something does: its steps are applied to a copy of the project, its commands run,
each where it stands, so that what is said before a command is enough for it.

A step is a line and the block of code that follows it: ``New file `PATH`:``, or ``In `PATH`, after `TEXT`:``, ``before`` or
``in place of``, where TEXT stands in exactly one line of the file, of which ``in place of`` changes only that text. Pages
that change C++ are built first; the others use the extensions that are there.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs/how-to").glob("add_a*.md")) + [ROOT / "docs/how-to/convert_my_operation.md"]
STEP = re.compile(
    r"^(?:New file `(?P<new>[^`]+)`|In `(?P<old>[^`]+)`, (?P<where>after|before|in place of) `(?P<text>[^`]+)`):\n\n"
    r"```\w*\n(?P<code>.*?)^```",
    flags=re.S | re.M,
)
# an editable install would bring the project itself in place of the copy
OURS_FIRST = (
    "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'Redirecting' not in type(f).__name__]\n"
)


def applied(page: str, copy: Path) -> list[str]:
    """The files that a page's steps have changed, in order."""
    changed = []
    for step in STEP.finditer(page):
        name = step["new"] or step["old"]
        path, code = copy / name, step["code"]
        if step["new"]:
            assert not path.exists(), f"{name} is there already"
            path.write_text(code)
        else:
            path.write_text(_inserted(path.read_text(), name, step))
        changed.append(name)
    return changed


def _inserted(text: str, name: str, step: re.Match[str]) -> str:
    lines = text.splitlines(keepends=True)
    found = [i for i, line in enumerate(lines) if step["text"] in line]
    assert len(found) == 1, f"{name}: {step['text']!r} stands in {len(found)} lines"
    at = found[0]
    if step["where"] == "in place of":
        lines[at] = lines[at].replace(step["text"], step["code"].rstrip("\n"))
    else:
        lines.insert(at + (step["where"] == "after"), step["code"])
    return "".join(lines)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the project that git knows or would take."""
    listed = subprocess.run(
        ("git", "ls-files", "-co", "--exclude-standard"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not in a checkout of the project: what belongs to it is not known")
    made = tmp_path / "copy"
    for name in listed.stdout.split("\n"):
        source = ROOT / name
        if (
            name
            and not name.startswith(("benchmarks/records", "docs/results"))
            and (source.is_file() or source.is_symlink())
        ):
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, made / name, follow_symlinks=False)
    (made / "sitecustomize.py").write_text(OURS_FIRST)
    return made


def _extensions(copy: Path) -> None:
    """Those that are installed, where the copy looks for them."""
    for module, folder in (
        ("spikeflow.sim._engine", "spikeflow/sim"),
        ("spikeflow.datasets._decode", "datasets"),
        ("spikeflow.neurons._sweep", "spikeflow/neurons"),
    ):
        found = importlib.util.find_spec(module)
        assert found and found.origin
        shutil.copy(found.origin, copy / folder)


def _built(copy: Path) -> None:
    """The extensions of the copy's own sources."""
    made = copy.parent / "built"
    command = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        made,
        copy,
    )
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    places = ("spikeflow/sim", "spikeflow/sim"), ("spikeflow/neurons", "spikeflow/neurons")
    for folder, to in (*places, ("spikeflow/datasets", "datasets")):
        for extension in (made / folder).glob("*.so"):
            shutil.copy(extension, copy / to)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_page_does_what_it_says(page: Path, copy: Path) -> None:
    *parts, last = re.split(r"^(```sh\n.*?^```\n)", page.read_text(), flags=re.S | re.M)
    assert parts and not applied(last, copy), f"{page.name}: no command, or a step behind the last"
    _extensions(copy)
    for steps, command in zip(parts[::2], parts[1::2], strict=True):
        changed = applied(steps, copy)
        assert changed, f"{page.name}: no step"
        if any(name.startswith("src/") for name in changed):
            _built(copy)
        _run(copy, command.removeprefix("```sh\n").removesuffix("```\n"))


def _run(copy: Path, commands: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {**os.environ, "PATH": path, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    ran = ("bash", "-euo", "pipefail", "-c", commands)
    done = subprocess.run(ran, cwd=copy, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    origin = subprocess.run(
        ("python", "-c", "import spikeflow; print(spikeflow.__file__)"),
        cwd=copy, env=settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(copy) in origin.stdout, f"the project itself was tested, not its copy: {origin.stdout}"


# as docs/design.md tells: what the steps before the first command change in spikeflow, datasets and src
SOURCES = {
    "add_a_balancing_method": 2,
    "add_a_chip": 2,
    "add_a_command": 2,
    "add_a_data_set": 4,
    "add_a_neuron": 3,
    "add_a_node_kind": 2,
    "add_an_operation": 4,
    "convert_my_operation": 0,
}


def test_an_addition_touches_as_few_source_files_as_told() -> None:
    touched = {}
    for page in PAGES:
        steps = STEP.finditer(page.read_text().partition("```sh")[0])
        names = {step["new"] or step["old"] for step in steps}
        touched[page.stem] = sum(name.startswith(("spikeflow/", "datasets/", "src/")) for name in names)
    assert touched == SOURCES


def test_a_text_in_several_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 2\n")
    for wrong in (
        "In `a.py`, after `x = `:\n\n```python\ny = 1\n```\n",
        "New file `a.py`:\n\n```python\ny = 1\n```\n",
    ):
        with pytest.raises(AssertionError):
            applied(wrong, tmp_path)
    assert applied("In `a.py`, after `x = 1`:\n\n```python\ny = 3\n```\n", tmp_path) == ["a.py"]
    assert (tmp_path / "a.py").read_text() == "x = 1\ny = 3\nx = 2\n"
