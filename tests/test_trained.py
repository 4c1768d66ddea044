"""The trained networks that come along: each card's file opens, is the one described, and answers as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.cli import opened
from spikeflow.datasets.sets.braille import Braille
from spikeflow.datasets.stored.wave import read_wave
from spikeflow.files import mat
from spikeflow.flows import keywords
from spikeflow.ir import file
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, classify

FOLDER = Path(__file__).parents[1] / "examples/trained"
CARDS = sorted(FOLDER.glob("*.md"))
ROWS = (
    "file",
    "data",
    "split",
    "seed",
    "validation",
    "test",
    "checked",
    "command",
    "machine",
    "steps",
    "cost",
    "chips",
    "limits",
)
Checked = Callable[[Network, Path], tuple[int, int]]


def rows(card: Path) -> dict[str, str]:
    """The card's table: what stands behind each word."""
    return dict(re.findall(r"^\| (\w+) \| (.+) \|$", card.read_text(), flags=re.M))


def _pictures(network: Network, data: Path) -> tuple[int, int]:
    samples = opened.samples(network, str(data / "FashionMNIST/raw/t10k-images-idx3-ubyte.gz")).first(200)
    return _right(network, samples, samples.y)


def _recordings(network: Network, data: Path) -> tuple[int, int]:
    samples = opened.samples(network, str(data / "NMNIST/Test"))
    return _right(network, samples, samples.y)


def _letters(network: Network, data: Path) -> tuple[int, int]:
    letters = Braille(data, "train", True).repetitions(28, 34)
    return _right(network, letters, letters.labels)


def _heart(network: Network, data: Path) -> tuple[int, int]:
    """Steps of the first test sequences, each answered by the outputs after it."""
    held = mat.read(data / "ecg_qtdb/QTDB_test.mat")
    x, marks = (np.asarray(held[name])[:20] for name in ("x", "y"))
    steps = x.shape[1]
    found = classify(network, x.astype(np.float32), RunOptions(kept=tuple(range(1, steps + 1))))
    answers = np.moveaxis(found.outputs["output"], 0, 1).argmax(-1)
    counts = marks.any(-1)
    return int((answers == marks.argmax(-1))[counts].sum()), int(counts.sum())


def _digits(network: Network, data: Path) -> tuple[int, int]:
    """The official test: numbers 0 to 4 of every digit and speaker."""
    paths = sorted(p for p in (data / "fsdd").rglob("*.wav") if int(p.stem.split("_")[2]) < 5)
    return _right(network, [read_wave(p) for p in paths], np.array([int(p.name[0]) for p in paths]))


def _keywords(network: Network, data: Path) -> tuple[int, int]:
    """The fold that its training left out: every fifth position."""
    with np.load(data / "speech_commands_mfcc" / keywords.FILE) as held:
        x, y = held["mfcc_int8"][::5].astype(np.float32), held["label"][::5]
    return _right(network, x, y)


def _right(network: Network, samples: Any, labels: Any) -> tuple[int, int]:
    return int((classify(network, samples).predictions() == labels).sum()), len(labels)


SUBSETS: dict[str, Checked] = {
    "fashion_mnist": _pictures,
    "nmnist": _recordings,
    "braille": _letters,
    "ecg_qtdb": _heart,
    "spoken_digits": _digits,
    "keywords": _keywords,
}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_a_card_describes_the_file_beside_it(card: Path) -> None:
    said = rows(card)
    assert [name for name in ROWS if name not in said] == []
    path = card.with_suffix(".h5")
    assert path.stat().st_size < 1.5e6
    network = file.read(path)
    assert network.graph.digest in said["file"] and network.record.labels
    assert str(network.record.steps) == said["steps"].split(" ")[0]
    for share, count in re.findall(r"([\d.]+) % of ([\d,]+)", said["test"]):
        assert 0 < float(share) <= 100 and int(count.replace(",", "")) > 0


def test_every_network_has_its_card() -> None:
    assert {p.stem for p in FOLDER.glob("*.h5")} == {p.stem for p in CARDS}


@pytest.mark.parametrize("card", [c for c in CARDS if c.stem in SUBSETS], ids=lambda card: card.stem)
def test_it_answers_as_its_card_says(card: Path, data_folder: Path) -> None:
    right, count = map(int, re.findall(r"(\d+) of (\d+) right", rows(card)["checked"])[0])
    assert SUBSETS[card.stem](file.read(card.with_suffix(".h5")), data_folder) == (right, count)
