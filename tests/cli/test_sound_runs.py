"""A network that begins with sound, run on folders of WAV files as people record them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets.stored.wave import read_wave, write_wave
from spikeflow.ir import file
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Input, Linear, Node, Output
from spikeflow.ir.preprocessing import MelSpikes
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF, Integrator
from spikeflow.sim.classify import classify
from spikeflow.sound import Sound
from tests.cli.conftest import Call
from tests.ir.test_mel_spikes import word

STEP = MelSpikes(bands=20, steps=30, threshold=0.5)
LABELS = ("no", "yes", "maybe")


def listener() -> Network:
    """Mel spikes, a layer, three answers."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Node] = {
        "ear": Input((40,)), "w": Linear(rng.normal(size=(12, 40)).astype(np.float32)),
        "cell": LIF(0.9).node((12,)), "v": Linear(rng.normal(size=(3, 12)).astype(np.float32)),
        "read": Integrator().node((3,)), "out": Output(),
    }  # fmt: skip
    names = list(nodes)
    edges = tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False))
    made = InputRecord("ear", "spikes", preprocessing=(STEP,))
    record = RunRecord(30, "spikes", readout="read", labels=LABELS, inputs=(made,))
    return Network(Graph(nodes, edges), record)


def net_in(folder: Path) -> Path:
    file.write(folder / "net.h5", listener())
    return folder / "net.h5"


def stereo_8_bit(path: Path, sound: Sound) -> None:
    """Two equal channels of unsigned bytes, with a chunk of notes before and odd padding."""
    one = np.clip(np.rint(sound.samples * 128 + 128), 0, 255).astype(np.uint8)
    data = np.stack([one, one], 1).tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, sound.rate_hz, 2 * sound.rate_hz, 2, 8)
    notes = struct.pack("<4sI", b"LIST", 3) + b"abc\0"
    body = b"WAVE" + head + notes + struct.pack("<4sI", b"data", len(data)) + data
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)


def test_a_folder_of_recordings_of_any_name(call: Call, tmp_path: Path) -> None:
    net, folder = net_in(tmp_path), tmp_path / "recordings"
    folder.mkdir()
    names = ("ärger 7.wav", "0_x_1.WAV", "take (2).wav", "voice-memo.wav")
    for seed, name in enumerate(names):
        write_wave(folder / name, word(seed, (8_000, 16_000, 44_100, 48_000)[seed]))
    stereo_8_bit(folder / "old.wav", word(9, 11_025))
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "notes.txt").write_text("where it was recorded")
    ended = call("run", net, "--data", folder, "--out", tmp_path / "all.npz", "--json")
    assert ended.code == 0, ended
    told = json.loads(ended.out)["warnings"]
    answers = json.loads(ended.out)["answers"]
    assert any("1 other files than .wav are left out, such as notes.txt" in text for text in told)
    sounds = [read_wave(folder / name) for name in sorted([*names, "old.wav"])]
    wanted = classify(file.read(net), sounds)
    assert wanted.accumulated().any()
    with np.load(tmp_path / "all.npz") as found:
        np.testing.assert_array_equal(found["accumulators"], wanted.accumulated())
    words = [LABELS[k] for k in wanted.predictions()]
    assert answers == {str(folder / n): w for n, w in zip(sorted([*names, "old.wav"]), words, strict=True)}
    spikes = np.stack([STEP(sound) for sound in sounds])
    np.testing.assert_array_equal(classify(file.read(net), spikes).accumulated(), wanted.accumulated())
    ended = call("run", net, "--data", folder / "old.wav", "--out", tmp_path / "one.npz")
    assert ended.code == 0 and f"old.wav: {answers[str(folder / 'old.wav')]}" in ended.out, ended


def test_folders_of_labels(call: Call, tmp_path: Path) -> None:
    net, folder = net_in(tmp_path), tmp_path / "recordings"
    for label, inside in enumerate(("no", "yes", "2")):
        (folder / inside).mkdir(parents=True)
        for seed in range(3):
            write_wave(folder / inside / f"{seed}.wav", word(10 * label + seed))
    ended = call("run", net, "--data", folder, "--out", tmp_path / "all.npz", "--json")
    assert ended.code == 0, ended
    with np.load(tmp_path / "all.npz") as found:
        np.testing.assert_array_equal(found["y"], [2] * 3 + [0] * 3 + [1] * 3)  # 2, no, yes
        right = float((found["predictions"] == found["y"]).mean())
    assert json.loads(ended.out)["accuracy"] == pytest.approx(right)
    (folder / "perhaps").mkdir()
    ended = call("run", net, "--data", folder)
    assert ended.code != 0 and "perhaps" in ended.error and "no, yes, maybe" in ended.error


def bad_recording(name: str, folder: Path) -> None:
    path = folder / f"{name}.wav"
    if name in ("damaged", "empty", "flac"):
        write_wave(path, word())
        whole = path.read_bytes()
        path.write_bytes({"damaged": whole[:-100], "empty": b"", "flac": b"fLaC" + whole[4:]}[name])
        return
    write_wave(path, {
        "silent": Sound(np.zeros(4000, np.float32), 8_000), "hum": Sound(np.full(4000, 0.2, np.float32), 8_000),
        "short": Sound(word().samples[1000:1100], 8_000), "slow": Sound(word().samples, 6_000),
    }[name])  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("damaged", "are there"), ("empty", "not a WAV file"), ("flac", "not a WAV file"), ("silent", "silence"),
        ("hum", "silence"), ("short", "at least 200, one frame"), ("slow", "8000 to 384000"),
    ],
)  # fmt: skip
def test_one_bad_recording_is_named(call: Call, tmp_path: Path, name: str, words: str) -> None:
    net, folder = net_in(tmp_path), tmp_path / "recordings"
    folder.mkdir()
    write_wave(folder / "good.wav", word())
    bad_recording(name, folder)
    ended = call("run", net, "--data", folder)
    assert ended.code != 0 and f"{name}.wav" in ended.error and words in ended.error, ended
    assert "Traceback" not in ended.error


def test_nothing_to_hear_in_a_folder(call: Call, tmp_path: Path) -> None:
    net = net_in(tmp_path)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.mp3").write_bytes(b"ID3")
    ended = call("run", net, "--data", tmp_path / "none")
    assert ended.code != 0 and "a folder of .wav files" in ended.error


def test_long_recordings_are_told(call: Call, tmp_path: Path) -> None:
    net = net_in(tmp_path)
    write_wave(tmp_path / "long.wav", Sound(np.concatenate([word(s).samples for s in range(5)]), 8_000))
    ended = call("run", net, "--data", tmp_path / "long.wav", "--json")
    assert ended.code == 0 and any(
        "one word a recording" in text for text in json.loads(ended.out)["warnings"]
    )


def test_sounds_and_events_are_told_apart(tmp_path: Path) -> None:
    from spikeflow.errors import DataError
    from tests.sim.test_inputs_by_name import camera_network, recording

    with pytest.raises(DataError, match="recording 1"):
        classify(listener(), [word(), recording(1)])
    with pytest.raises(DataError, match="recording 0: .*Events"):
        classify(camera_network(), [word()])
