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
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
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


def _follow(document: Path, folder: Path) -> None:
    """Do what a page shows: all its commands, then all its Python."""
    for command in "".join(_blocks(document, "sh")).replace("\\\n", " ").strip().splitlines():
        assert _run("bash", "-c", command, cwd=folder).strip()
    _run(sys.executable, "-c", "\n".join(_blocks(document, "python")), cwd=folder)


def test_tutorial(folder: Path) -> None:
    _follow(ROOT / "docs/tutorials/from_ann_to_chip.md", folder)


def test_tutorial_of_two_point_cells(tmp_path: Path) -> None:
    _follow(ROOT / "docs/tutorials/two_point.md", tmp_path)
    page = (ROOT / "docs/tutorials/two_point.md").read_text()
    said = {}
    for figure in re.findall(r"python examples/two_point_curves.py (\w+) --out", page):
        script = str(ROOT / "examples/two_point_curves.py")
        said[figure] = _run(sys.executable, script, figure, "--out", f"{figure}.png", cwd=tmp_path)
        assert (tmp_path / f"{figure}.png").stat().st_size > 5_000
    low, plain, high = (float(v) for v in re.findall(r"rate ([\d.]+)", said["curves"]))
    assert low < 0.2 * plain and 1.8 * plain < high < 2.1 * plain
    alone = {m: float(v) for m, v in re.findall(r"(\w+), context alone: rate ([\d.]+)", said["context"])}
    assert {m for m, v in alone.items() if v} == {"drive", "amplify_drive", "cooperation"} and len(alone) == 7
    ratios = [
        float(a) / float(b) for a, b in re.findall(r"rate ([\d.]+) in context, ([\d.]+)", said["selective"])
    ]
    assert ratios[0] == 1 and ratios[1] > 5 and ratios[2] > 1.5


def test_how_to_stop_and_go_on(folder: Path) -> None:
    _follow(ROOT / "docs/how-to/stop_and_go_on.md", folder)


def test_how_to_finetune_a_conversion(folder: Path) -> None:
    _follow(ROOT / "docs/how-to/finetune_a_conversion.md", folder)
    assert (folder / "few.h5").stat().st_size > 1000


def test_how_to_load_events(tmp_path: Path) -> None:
    _follow(ROOT / "docs/how-to/load_my_events.md", tmp_path)
    assert (tmp_path / "mine.html").stat().st_size > 50_000


def test_how_to_wire_a_network(tmp_path: Path) -> None:
    _follow(ROOT / "docs/how-to/wire_a_network.md", tmp_path)
    assert (tmp_path / "trained.h5").stat().st_size > 1000


def test_how_to_train_a_network(tmp_path: Path) -> None:
    _follow(ROOT / "docs/how-to/train_a_network.md", tmp_path)
    assert {"last.checkpoint", "record.json", "metrics.csv"} <= {
        p.name for p in (tmp_path / "mine").iterdir()
    }


def test_how_to_surrogate_gradients(tmp_path: Path) -> None:
    _follow(ROOT / "docs/how-to/surrogate_gradients.md", tmp_path)


@pytest.mark.parametrize("script", ["train_lif.py", "train_two_point.py", "residual_snn.py", "two_stream.py"])
def test_directly_trained(script: str, tmp_path: Path) -> None:
    printed = _run(sys.executable, str(ROOT / "examples" / script), "--smoke", cwd=tmp_path)
    assert "torch:" in printed and "engine:" in printed and "mapped, on" in printed
    assert re.search(r"\b0 unexplained", printed), printed
    assert "loihi1 cannot take this network" in printed or "loihi1:" in printed


def test_commands_and_script_give_the_same_networks(folder: Path) -> None:
    """The README's script and its commands: equal graphs, equal mappings, equal answers."""
    import json

    import numpy as np

    from spikeflow.convert import convert
    from spikeflow.hw import map_network
    from spikeflow.hw.tables.file import read_mapping
    from spikeflow.ir import file
    from spikeflow.sim.classify import classify

    spikeflow = str(Path(sys.executable).parent / "spikeflow")
    _run(spikeflow, "convert", "ann.pt", "--data", "calib.npz", "--steps", "32", "--out", "a.h5", cwd=folder)
    _run(
        spikeflow,
        "map",
        "a.h5",
        "--chip",
        "loihi2",
        "--chips",
        "4",
        "--data",
        "calib.npz",
        "--out",
        "a.map.h5",
        cwd=folder,
    )
    printed = json.loads(_run(spikeflow, "run", "a.map.h5", "--data", "test.npz", "--json", cwd=folder))
    calib, test = np.load(folder / "calib.npz"), np.load(folder / "test.npz")
    conversion = convert(str(folder / "ann.pt"), calib["x"], calib["y"], steps=32)
    mapping = map_network(conversion.network, "loihi2", calib["x"], chips=4)
    assert conversion.network.graph.digest == file.read(folder / "a.h5").graph.digest
    assert mapping.as_graph().digest == read_mapping(folder / "a.map.h5").as_graph().digest
    assert classify(mapping.as_network(), test["x"]).accuracy(test["y"]) == printed["accuracy"]


def test_live(tmp_path: Path) -> None:
    """A filmed bar, whole steps as they come: the spikes of one run of the whole recording."""
    printed = _run(sys.executable, str(ROOT / "examples/live.py"), "--out", str(tmp_path), cwd=tmp_path)
    steps, stretches, spikes = map(
        int, re.findall(r"(\d+) steps in (\d+) stretches.*\n.*: (\d+) spikes, equal", printed)[0]
    )
    assert steps == 1000 and stretches > 50 and spikes > 1000, printed


@pytest.mark.parametrize(
    ("name", "sensor"), [("dvxplorer_lite_320x240.aedat4", ""), ("evt3_sample.raw", "1280x720")]
)
def test_live_on_a_camera_file(name: str, sensor: str, tmp_path: Path) -> None:
    data = os.environ.get("SPIKEFLOW_DATA")
    if not data:
        pytest.skip("SPIKEFLOW_DATA is not set")
    path = Path(data) / "recordings" / name
    more = ["--sensor", sensor] if sensor else []
    printed = _run(
        sys.executable,
        str(ROOT / "examples/live.py"),
        "--file",
        str(path),
        "--piece",
        "5000",
        *more,
        cwd=tmp_path,
    )
    assert "equal" in printed


def test_a_balanced_network_prints_its_rate_and_irregularity(tmp_path: Path) -> None:
    command = sys.executable, str(ROOT / "examples/balanced_network.py")
    printed = [_run(*command, seed, cwd=tmp_path) for seed in ("1", "1", "2")]
    assert printed[0] == printed[1] != printed[2]
    found = re.findall(r"^[EI]: ([\d.]+) spikes a second, irregularity ([\d.]+)$", printed[0], flags=re.M)
    assert len(found) == 2 and all(1 < float(rate) < 100 and float(cv) > 0.1 for rate, cv in found)


def test_the_microcircuit_has_its_order_of_rates(tmp_path: Path) -> None:
    """At a twentieth of its size it is quieter than the published one; its inhibitory neurons fire more than their layer."""
    command = sys.executable, str(ROOT / "examples/microcircuit.py"), "--scale", "0.05", "--seconds", "1"
    printed = _run(*command, cwd=tmp_path)
    found = re.findall(r"^(L\w+) +(\d+) +([\d.]+) +([\d.]+)$", printed, flags=re.M)
    rates = {name: float(rate) for name, _, rate, _ in found}
    assert sum(int(size) for _, size, _, _ in found) == 3858 and len(rates) == 8
    assert all(0.1 * float(p) < rates[n] < 2 * float(p) for n, _, _, p in found), printed
    assert all(rates[f"{layer}I"] > rates[f"{layer}E"] for layer in ("L23", "L4", "L6"))


def test_the_page_of_networks_of_neuroscience(tmp_path: Path) -> None:
    _follow(ROOT / "docs/how-to/networks_of_neuroscience.md", tmp_path)


def test_published_gestures_on_recordings(data_folder: Path, tmp_path: Path) -> None:
    script = str(ROOT / "examples/dvs_gesture.py")
    said = _run(sys.executable, script, "--data", str(data_folder), "--smoke", cwd=tmp_path)
    assert "the frame that comes along: output 6, 60 of 62 spikes" in said
    assert len(re.findall(r"output \d+ in \d of 2 frames", said)) == 7


def test_tutorial_of_plasticity(tmp_path: Path) -> None:
    """What the page says of scikit-learn's digits: at least 85 % by neurons that saw no label."""
    _follow(ROOT / "docs/tutorials/plasticity.md", tmp_path)
    printed = _run(sys.executable, str(ROOT / "examples/unlabelled_digits.py"), cwd=tmp_path)
    (said,) = re.findall(r"learns scikit-learn's digits .*: ([\d.]+) % of", (ROOT / "docs/tutorials/plasticity.md").read_text())
    (found,) = re.findall(r"([\d.]+) % of 397 test digits", printed)
    assert said == found and float(found) >= 85
