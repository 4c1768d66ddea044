"""Strangers' inputs by number: for each kind of reader and command a good file, changed as a seed says."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.files import foreign
from tests.files.command import called
from tests.files.corpus import CORPUS
from tests.files.mutations import changed_archive, changed_bytes, changed_file, drawn_options
from tests.files.readers import READERS
from tests.files.rule_network import rule_network
from tests.readers import test_neuroml, test_sonata

PACKED = (
    ".npz",
    ".mat",
    ".h5",
    ".aedat4",
    ".raw",
    ".gz",
    ".png",
    ".zip",
)  # formats that pack, and EVT3, whose words hold up to 12 events
RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
ARCHIVES = {
    "model of an archive": "ann.pt2",
    "model of a rich archive": "rich.pt2",
    "pickle of a module": "ann.pt",
}
MANIFESTS = {
    "manifest of a network": ("network", "net.h5"),
    "manifest of a mapping": ("mapping", "net.map.h5"),
    "manifest of a state": ("state", "state.h5"),
    "manifest of a checkpoint": ("state", "checkpoint.h5"),
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": (
        "--steps",
        "--limit",
        "--threads",
        "--engine",
        "--seed",
        "--out",
        "--output",
        "--record",
        "--record-out",
    ),
    "map": ("--chip", "--chips", "--seed", "--min-agreement"),
    "report": ("--limit", "--steps", "--engine", "--seed", "--chip", "--arch"),
    "convert": ("--steps", "--input-shape", "--reset", "--input", "--percentile", "--seed", "--arch"),
    "show": ("--chip",),
    "data info": ("--format", "--columns", "--width", "--height", "--unit", "--key", "--sensor"),
}


@dataclass(frozen=True)
class Input:
    """One input: what is called, the file it is called on, whether the format packs, and who sets the size of the work.

    A reader's memory is held to the size of its file. A command's own words ask for work of any size (a million steps
    of a small network): it is held to the room that a task gets, or has to refuse.
    """

    call: Callable[[Path], Any]
    path: Path
    packed: bool = False
    asked: bool = False


def good_files(folder: Path) -> dict[str, Path]:
    """One good file of each kind, by a word; made anew in a folder."""
    import torch
    from torch import nn

    from spikeflow.hw import map_network
    from spikeflow.hw.tables.file import write_mapping
    from spikeflow.ir import file
    from tests.cli.conftest import small_network

    draw = np.random.default_rng(1)
    np.savez(folder / "data.npz", x=draw.random((12, 6), np.float32), y=draw.integers(0, 3, 12))
    network = small_network()
    file.write(folder / "net.h5", network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapping = map_network(network, "loihi2", draw.random((40, 6), np.float32), accept_loss=True)
    write_mapping(folder / "net.map.h5", mapping)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()
    torch.save(net, folder / "ann.pt")
    torch.save(net, folder / "older.pt", _use_new_zipfile_serialization=False)
    torch.export.save(torch.export.export(net, (torch.zeros(2, 6),)), folder / "ann.pt2")
    torch.export.save(torch.export.export(_many_operations(), (torch.zeros(2, 6),)), folder / "rich.pt2")
    (folder / "data.pkl").write_bytes(_pickled())
    with contextlib.suppress(ImportError):  # a package that reads networks of others may not be installed
        foreign.write_onnx(folder / "net.onnx")
    with contextlib.suppress(ImportError):
        foreign.write_tflite(folder / "net.tflite")
    with contextlib.suppress(ImportError):
        foreign.write_safetensors(folder / "net.safetensors")
    for recipe in ("digits_lif", "ecg_two_point", "keywords"):
        (folder / f"{recipe}.toml").write_bytes((RECIPES / f"{recipe}.toml").read_bytes())
    _runs(folder, network)
    _stored(folder)
    return {path.name: path for path in (*sorted(folder.iterdir()), *_event_files(folder))}


def _runs(folder: Path, network: Any) -> None:
    """What runs write: a state, a checkpoint, records."""
    from spikeflow.sim import keep_lowered
    from spikeflow.sim.classify import RunOptions, classify
    from spikeflow.sim.record_file import sink_of
    from spikeflow.sim.records import recordable

    with np.load(folder / "data.npz") as held, sink_of(folder / "records.h5") as sink:
        options = RunOptions(keep_state=True, record=tuple(recordable(network.graph)), sink=sink)
        found = classify(network, held["x"], options)
    assert found.checkpoint is not None
    found.checkpoint.save(folder / "checkpoint.h5")
    found.checkpoint.state.save(folder / "state.h5")
    keep_lowered(rule_network(), folder / "net.lowered", 1)
    test_neuroml.written(folder / "net.nml.h5", test_neuroml.rows((0, 1, 2.0, 1.5)), test_neuroml.xml())
    with tempfile.TemporaryDirectory() as circuit:
        config = test_sonata.circuit(Path(circuit) / "c")
        shutil.copy(config.parent / "edges.h5", folder / "sonata_edges.h5")


def _stored(folder: Path) -> None:
    """Pictures, sounds and archives as data sets hold them."""
    import tarfile
    import zipfile

    from PIL import Image

    from spikeflow.datasets.stored.idx import write_idx
    from spikeflow.datasets.stored.wave import Sound, write_wave

    picture = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    Image.fromarray(picture).save(folder / "picture.png")
    write_idx(folder / "images.idx", picture)
    write_idx(folder / "images.idx.gz", picture)
    write_wave(folder / "sound.wav", Sound(np.sin(np.arange(400, dtype=np.float32)), 8000))
    for packing in ("", ".gz"):
        with tarfile.open(folder / f"archive.tar{packing}", f"w:{packing[1:]}") as archive:
            archive.add(folder / "picture.png", "a/b/" + "long" * 40)
            archive.add(folder / "images.idx", "images.idx")
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(folder / "picture.png", "a/picture.png")


def _many_operations() -> Any:
    """A module of many operations, none of which another repeats."""
    import torch
    from torch import nn

    class Rich(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.conv, self.last = (
                nn.Linear(6, 16),
                nn.Conv2d(1, 2, 3, padding=1),
                nn.Linear(18, 3),
            )

        def forward(self, x: Any) -> Any:
            h = torch.relu(self.first(x)).view(-1, 1, 4, 4)
            h = torch.relu(self.conv(nn.functional.pad(h, (1, 1, 0, 0))))
            h = nn.functional.avg_pool2d(torch.cat([h, h[:, :1] * 0.5], 1), 2)
            return self.last(torch.flatten(h, 1) + 0.1)

    return Rich().eval()


def _pickled() -> bytes:
    import pickle

    held = {
        "data": np.arange(24, dtype=np.uint8).reshape(2, 12),
        "labels": [3, 4],
        "names": ["a", b"b", (1.5,)],
    }
    return pickle.dumps(held, 2)


def _event_files(folder: Path) -> list[Path]:
    from spikeflow.datasets import write
    from spikeflow.datasets.formats import FORMATS
    from spikeflow.events import Events

    t = np.cumsum(np.arange(90) % 3)
    events, made = Events(t, t % 30, t % 20, t % 2, 128, 128), []
    for known in FORMATS:
        if known.write is not None:
            path = folder / f"{known.name}{known.suffixes[0]}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(path, events, known.name)
            made.append(path)
    return made


def warm(good: dict[str, Path], folder: Path) -> None:
    """Every command once, so that what is loaded at its first use is in no input's measure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for words in _commands(good, folder / "warm").values():
            called(words)


def kinds(good: dict[str, Path]) -> tuple[str, ...]:
    """The kinds of inputs: each good file with its bytes changed, manifests, archives, bombs, options."""
    return (*good, *MANIFESTS, *ARCHIVES, "bombs", "options")


def drawn(kind: str, seed: int, good: dict[str, Path], folder: Path) -> Input:
    """The input of a kind and a seed."""
    draw = random.Random(f"{kind} {seed}")
    if kind == "options":
        return _command(draw, good, folder)
    if kind == "bombs":
        case = CORPUS[draw.choice(list(CORPUS))]
        path = folder / f"input{case.suffix}"
        path.write_bytes(changed_bytes(case.make(draw.randrange(100, 20_000)), draw))
        return Input(READERS[case.reader], path, True)
    if kind.startswith("manifest"):
        (what, name), path = MANIFESTS[kind], folder / "input.h5"
        changed_file(what, good[name], path, draw)
        if what == "state":
            words = ["run", good["net.h5"], "--data", good["data.npz"], "--load-state", path]
            reader = READERS[name.removesuffix(".h5")]
            return Input(reader if draw.random() < 0.5 else lambda _: called(words), path, True)
        return Input(lambda p: called(_of_file(p, draw, good, folder)), path, True)
    if kind in ARCHIVES:
        path = folder / ARCHIVES[kind]
        changed_archive(good[ARCHIVES[kind]], path, draw)
        words = ("--input-shape", "6") if draw.random() < 0.5 else ("--data", good["data.npz"])
        return Input(lambda p: called(["convert", p, *words, "--out", folder / "out"]), path, True)
    path = folder / f"input{good[kind].suffix}"
    path.write_bytes(changed_bytes(good[kind].read_bytes(), draw))
    return Input(READERS[_reader(kind)], path, path.suffix in PACKED)


def _reader(name: str) -> str:
    known = {
        "data.npz": "samples", "net.h5": "network", "net.map.h5": "mapping", "data.pkl": "pickle",
        "state.h5": "state", "checkpoint.h5": "checkpoint", "records.h5": "records", "net.lowered": "lowered", "net.nml.h5": "neuroml",
        "sonata_edges.h5": "sonata", "picture.png": "picture",
        "images.idx": "idx", "images.idx.gz": "idx", "sound.wav": "wave",
        "archive.tar": "archive", "archive.tar.gz": "archive", "archive.zip": "archive",
        "net.onnx": "torch", "net.tflite": "torch", "net.safetensors": "torch", "ann.pt": "torch", "older.pt": "torch", "ann.pt2": "torch", "rich.pt2": "torch",
    }  # fmt: skip
    return "recipe" if name.endswith(".toml") else known.get(name, "events")


def _of_file(path: Path, draw: random.Random, good: dict[str, Path], folder: Path) -> list[object]:
    data, out = ("--data", good["data.npz"]), ("--out", folder / "out")
    chip = draw.choice(("loihi1", "loihi2", "spinnaker2"))
    commands: list[list[object]] = [
        ["show", path],
        ["run", path, *data],
        ["run", path, *data, "--engine", "reference"],
        ["map", path, *data, "--chip", chip, *out],
        ["report", path, *data, *out],
    ]
    return draw.choice(commands)


def _command(draw: random.Random, good: dict[str, Path], folder: Path) -> Input:
    name = draw.choice(list(COMMANDS))
    words = _commands(good, folder / "out")
    arguments = [*words[name], *drawn_options(COMMANDS[name], draw)]
    here = folder / "here" / "of the call"  # any word may be taken for a file to write
    here.mkdir(parents=True, exist_ok=True)
    return Input(lambda _: _called_in(here, arguments), good["data.npz"], asked=True)


def _called_in(folder: Path, arguments: list[object]) -> int:
    with contextlib.chdir(folder):
        return called(arguments)


def _commands(good: dict[str, Path], out: Path) -> dict[str, list[object]]:
    """Each command on good files."""
    data, into = ("--data", good["data.npz"]), ("--out", out)
    return {
        "run": ["run", good["net.h5"], *data],
        "map": ["map", good["net.h5"], *data, *into, "--chip", "loihi2"],
        "report": ["report", good["net.h5"], *data, *into],
        "convert": ["convert", good["ann.pt"], *into, "--input-shape", "6"],
        "show": ["show", good["net.map.h5"]],
        "data info": ["data", "info", good["text.csv"]],
    }
