"""``spikeflow data``: list, info, prepare, show, convert, on files made here and on synthetic twins."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import read, write
from spikeflow.events import Events
from tests.cli.conftest import Call

EXACT = ("format", "width", "height", "events", "first", "last", "duration_us", "on_events", "sha256")
SENSOR = ("--sensor", "34x34")


def drifting(count: int = 900) -> Events:
    """A blob that drifts over 34 by 34 pixels in 0.3 s."""
    draw = np.random.default_rng(0)
    t = np.sort(draw.integers(0, 300_000, count))
    x = np.clip(4 + t / 12_000 + draw.normal(0, 2, count), 0, 33).astype(int)
    y = np.clip(17 + draw.normal(0, 3, count), 0, 33).astype(int)
    return Events(t, x, y, draw.integers(0, 2, count), 34, 34)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recording of 40-bit events."""
    write(tmp_path / "own.bin", drifting())
    return tmp_path


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data set lies where one is looked for."""
    monkeypatch.setenv("SPIKEFLOW_DATA", str(tmp_path / "data"))


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


# --- usage ---


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("info",),
        ("show", "own.bin"),
        ("show", "own.bin", "first", "--out", "x.png"),
        ("show", "own.bin", "--out", "x.png", "--dt-us", "0"),
        ("show", "own.bin", "--out", "x.gif", "--fps", "51"),
        ("info", "own.bin", "--sensor", "34"),
        ("info", "own.bin", "--sensor", "0x34"),
        ("info", "own.bin", "--sensor", "70000x2"),
        ("info", "own.bin", "--unit-us", "0"),
        ("convert", "own.bin"),
        ("prepare",),
        ("prepare", "nmnist", "--synthetic", "0", "--to", "data"),
        ("prepare", "nmnist", "--synthetic", "2"),
        ("prepare", "nmnist", "--synthetic", "2", "--to", "data", "--from", "here"),
        ("show", "nmnist", "--out", "x.html"),
        ("info", "nmnist", "--sensor", "34x34"),
        ("info", "nmnist", "--lenient"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(folder)
    ended = call("data", *arguments)
    assert ended.code == 2 and ended.out == "" and "Traceback" not in ended.err, ended
    assert names(folder) == {"own.bin"}


def test_a_file_takes_no_index(call: Call, folder: Path) -> None:
    ended = call("data", "show", folder / "own.bin", "3", "--out", folder / "x.png")
    assert ended.code == 2 and "is a file" in ended.err


@pytest.mark.parametrize("name", ["list", "info", "prepare", "show", "convert"])
def test_every_command_has_help(call: Call, name: str) -> None:
    assert f"spikeflow data {name} [OPTIONS]" in call("data", name, "--help").out
    assert name in call("data", "--help").out


# --- list and info ---


def test_list_tells_every_data_set(call: Call) -> None:
    from spikeflow.datasets.sets import catalog

    told = json.loads(call("data", "list", "--json").out)["data_sets"]
    assert [t["name"] for t in told] == list(catalog.names())
    (nmnist,) = (t for t in told if t["name"] == "nmnist")
    assert nmnist["counts"] == {"train": 60_000, "test": 10_000}
    assert (nmnist["width"], nmnist["height"], nmnist["classes"]) == (34, 34, 10)
    assert nmnist["licence"] == "CC BY-SA 4.0" and nmnist["kind"] == "events"
    text = call("data", "list").out
    assert all(name in text for name in catalog.names()) and max(map(len, text.splitlines())) <= 120


def test_info_of_a_file(call: Call, folder: Path) -> None:
    events = drifting()
    told = json.loads(call("data", "info", folder / "own.bin", *SENSOR, "--json").out)
    assert tuple(told)[: len(EXACT)] == EXACT and set(told) == {
        *EXACT,
        "dropped",
        "fields",
        "assumed",
        "warnings",
    }
    assert told["format"] == "bin5" and (told["width"], told["height"]) == (34, 34)
    assert told["first"] == [int(getattr(events, n)[0]) for n in "txyp"]
    assert told["last"] == [int(getattr(events, n)[-1]) for n in "txyp"]
    assert told["events"] == 900 and told["on_events"] == int(events.p.sum())
    assert told["sha256"] == events.sha256 and told["duration_us"] == events.duration_us
    text = call("data", "info", folder / "own.bin", *SENSOR).out
    assert "900" in text and events.sha256 in text


def test_info_says_null_where_the_sensor_is_not_known(call: Call, folder: Path) -> None:
    told = json.loads(call("data", "info", folder / "own.bin", "--format", "bin5", "--json").out)
    assert told["width"] is None and told["height"] is None


def test_info_of_a_data_set(call: Call) -> None:
    text = call("data", "info", "N-MNIST").out
    for said in (
        "CC BY-SA 4.0",
        "Orchard",
        "60,000",
        "train.zip",
        "20959b8e626244a1b502305a9e6e2031",
        "34x34",
    ):
        assert said in text
    told = json.loads(call("data", "info", "nmnist", "--json").out)
    assert told["archives"][0]["name"] == "train.zip" and told["classes"] == list("0123456789")


@pytest.mark.parametrize(
    ("name", "close"), [("nmist", "nmnist"), ("dvs_gestures", "dvs_gesture"), ("zzz", "data list")]
)
def test_a_wrong_name_gets_the_closest(call: Call, tmp_path: Path, name: str, close: str) -> None:
    assert close in call("data", "info", name).error
    assert close in call("data", "show", name, "0", "--out", tmp_path / "x.html").error
    assert close in call("data", "prepare", name).error
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", ["nowhere.bin", "no/folder/x", "nowhere.raw"])
def test_a_file_that_is_not_there(call: Call, tmp_path: Path, name: str) -> None:
    for command in (
        ("info", name),
        ("show", name, "--out", tmp_path / "x.html"),
        ("convert", name, tmp_path / "o"),
    ):
        assert "no such file" in call("data", *command).error
    assert names(tmp_path) == set()


def test_a_folder_is_no_recording(call: Call, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert "is a folder" in call("data", "info", tmp_path / "shop").error
    assert "is a folder" in call("data", "show", tmp_path / "shop", "--out", tmp_path / "x.png").error


@pytest.mark.parametrize("content", [b"", b"\x00", b"nothing of events\n" * 3, b"\xff" * 4097], ids=repr)
def test_a_file_of_no_known_format(call: Call, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.xyz"
    path.write_bytes(content[:5000])
    out = tmp_path / "o.html"
    for command in (("info", path), ("show", path, "--out", out), ("convert", path, tmp_path / "o.npz")):
        assert "strange.xyz" in call("data", *command).error
    assert names(tmp_path) == {"strange.xyz"}


def test_an_unknown_format_names_those_there_are(call: Call, folder: Path) -> None:
    assert "bin5" in call("data", "info", folder / "own.bin", "--format", "evt9").error


def test_a_sensor_that_is_too_small(call: Call, folder: Path) -> None:
    assert "sensor" in call("data", "info", folder / "own.bin", "--sensor", "10x10").error
    assert (
        "sensor"
        in call("data", "show", folder / "own.bin", "--sensor", "9x9", "--out", folder / "x.png").error
    )
    assert names(folder) == {"own.bin"}


def test_damage_is_an_error_and_lenient_counts_it(call: Call, folder: Path) -> None:
    path = folder / "own.bin"
    path.write_bytes(path.read_bytes()[:-2])
    assert "own.bin" in call("data", "info", path, "--format", "bin5").error
    lenient = ("--format", "bin5", "--lenient")
    told = json.loads(call("data", "info", path, *lenient, "--json").out)
    assert told["events"] == 899 and sum(told["dropped"].values()) >= 1
    page = folder / "x.html"
    assert call("data", "show", path, *lenient, "--out", page).code == 0
    assert "left out" in page.read_text() and "<td>nothing</td>" not in page.read_text()


# --- convert ---


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".es", ".bin", ".raw", ".dat", ".aedat4", ".h5"])
def test_convert_keeps_every_event(call: Call, folder: Path, suffix: str) -> None:
    out = folder / f"out{suffix}"
    told = json.loads(
        call("data", "convert", folder / "own.bin", out, *SENSOR, "--drop-sensor", "--json").out
    )
    assert told["sha256"] == drifting().sha256 and told["events"] == 900 and told["out"] == str(out)
    sensor = {} if told["sensor_kept"] else {"width": 34, "height": 34}
    assert read(out, told["to_format"], **sensor).sha256 == told["sha256"]
    assert names(folder) == {"own.bin", out.name}


def test_a_sensor_that_the_target_cannot_hold_is_an_error(call: Call, folder: Path) -> None:
    error = call("data", "convert", folder / "own.bin", folder / "out.bin", *SENSOR).error
    assert "34x34" in error and "--drop-sensor" in error and names(folder) == {"own.bin"}
    assert call("data", "convert", folder / "own.bin", folder / "out.bin", "--format", "bin5").code == 0


def test_events_that_the_target_cannot_hold_are_an_error(call: Call, folder: Path) -> None:
    late = drifting(20)
    write(folder / "late.npz", Events(late.t + 10**9, late.x, late.y, late.p, 34, 34))
    error = call("data", "convert", folder / "late.npz", folder / "out.bin", "--drop-sensor").error
    assert "bin5" in error and "8388607" in error.replace(",", "")
    assert names(folder) == {"own.bin", "late.npz"}


def test_convert_to_a_format_that_nobody_knows(call: Call, folder: Path) -> None:
    source = folder / "own.bin"
    assert "'.xyz'" in call("data", "convert", source, folder / "out.xyz", *SENSOR).error
    assert "evt9" in call("data", "convert", source, folder / "o.npz", *SENSOR, "--to-format", "evt9").error
    assert names(folder) == {"own.bin"}


def test_convert_replaces_a_file_only_by_a_whole_one(call: Call, folder: Path) -> None:
    (folder / "out.bin").write_bytes(b"before")
    assert call("data", "convert", folder / "own.bin", folder / "out.bin", *SENSOR).code == 1
    assert (folder / "out.bin").read_bytes() == b"before"
    assert (
        "cannot be written"
        in call("data", "convert", folder / "own.bin", folder / "no" / "out.bin", *SENSOR).error
    )
    assert names(folder) == {"own.bin", "out.bin"}


# --- show ---


@pytest.mark.parametrize("suffix", [".html", ".png", ".gif"])
def test_show_a_file(call: Call, folder: Path, suffix: str) -> None:
    out = folder / f"x{suffix}"
    told = json.loads(call("data", "show", folder / "own.bin", *SENSOR, "--out", out, "--json").out)
    assert told["events"] == told["points"] == 900 and told["sensor_known"] and told["note"] == ""
    assert out.stat().st_size > 3000 and names(folder) == {"own.bin", out.name}


def test_show_tells_the_facts_of_the_file(call: Call, folder: Path) -> None:
    out = folder / "x.html"
    text = call("data", "show", folder / "own.bin", *SENSOR, "--out", out).out
    assert "900 events, 34x34" in text and "Written: " in text
    page = out.read_text()
    for said in ("own.bin", "bin5", "34 × 34", drifting().sha256, "<td>nothing</td>"):
        assert said in page


def test_show_without_a_sensor_says_so(call: Call, folder: Path) -> None:
    out = folder / "x.html"
    text = call("data", "show", folder / "own.bin", "--format", "bin5", "--out", out).out
    assert "as far as events reach" in text and "the sensor is not known" in out.read_text()


def test_show_a_stretch(call: Call, folder: Path) -> None:
    arguments = ("data", "show", folder / "own.bin", *SENSOR, "--out", folder / "x.png")
    stretch = ("--start-us", "100000", "--stop-us", "150000")
    told = json.loads(call(*arguments, *stretch, "--dt-us", "1000", "--json").out)
    assert told["events"] == len(drifting().between(100_000, 150_000)) and told["steps"] == 50
    assert told["start_us"] == 100_000
    assert "no event from 9,000,000" in call(*arguments, "--start-us", "9000000").error


def test_show_too_short_steps(call: Call, folder: Path) -> None:
    arguments = ("data", "show", folder / "own.bin", *SENSOR, "--dt-us", "1", "--out")
    assert "--dt-us 20" in call(*arguments, folder / "x.png").error
    assert "film" in call(*arguments[:-2], "100", "--out", folder / "x.gif").error
    assert names(folder) == {"own.bin"}


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.webm"])
def test_show_writes_no_other_picture(call: Call, folder: Path, name: str) -> None:
    assert ".html, .png, .gif, .mp4" in call("data", "show", folder / "own.bin", "--out", folder / name).error
    assert names(folder) == {"own.bin"}


def test_show_mp4_without_ffmpeg(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    error = call("data", "show", folder / "own.bin", *SENSOR, "--out", folder / "x.mp4").error
    assert "ffmpeg" in error and ".gif" in error and names(folder) == {"own.bin"}


@pytest.mark.parametrize("t", [[5], [5, 5, 5]])
@pytest.mark.parametrize("suffix", [".html", ".png", ".gif"])
def test_show_one_event_and_one_time(call: Call, tmp_path: Path, t: list[int], suffix: str) -> None:
    write(tmp_path / "few.bin", Events(t, [1] * len(t), [2] * len(t), [1] * len(t)))
    out = tmp_path / f"x{suffix}"
    told = json.loads(call("data", "show", tmp_path / "few.bin", *SENSOR, "--out", out, "--json").out)
    assert (told["events"], told["steps"], told["start_us"]) == (len(t), 1, 5) and out.exists()


def test_show_and_info_of_a_recording_without_events(call: Call, tmp_path: Path) -> None:
    none = np.zeros(0, np.int64)
    write(tmp_path / "none.npz", Events(none, none, none, none, 8, 8))
    assert (
        "no event at all" in call("data", "show", tmp_path / "none.npz", "--out", tmp_path / "x.html").error
    )
    assert names(tmp_path) == {"none.npz"}
    told = json.loads(call("data", "info", tmp_path / "none.npz", "--json").out)
    assert told["events"] == 0 and told["first"] is None and told["last"] is None


def test_a_hostile_name_is_only_text(call: Call, tmp_path: Path) -> None:
    name = "<script>alert(1)<!--.bin"
    write(tmp_path / "a.bin", drifting())
    (tmp_path / "a.bin").rename(tmp_path / name)
    assert call("data", "show", tmp_path / name, *SENSOR, "--out", tmp_path / "x.html").code == 0
    page = (tmp_path / "x.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page and page.count("<script") == 2


# --- data sets ---


def test_show_a_twin_where_there_is_no_folder(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    told = json.loads(call("data", "show", "nmnist", "4", "--out", out, "--json").out)
    assert (
        told["note"].startswith("Synthetic: generated, no recording.") and "synthetic twin" in told["title"]
    )
    assert told["note"] in out.read_text() and (told["width"], told["height"]) == (34, 34)
    assert "Synthetic" in call("data", "show", "NMNIST", "4", "--split", "test", "--out", out).out


def test_show_a_cochlea_as_a_raster(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    told = json.loads(call("data", "show", "shd", "4", "--out", out, "--json").out)
    assert (told["width"], told["height"]) == (700, 1)
    assert '<section id="raster">' in out.read_text() and "700 channels" in out.read_text()


def test_a_folder_that_the_user_names_is_never_replaced_by_a_twin(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ("data", "show", "nmnist", "0", "--out", tmp_path / "x.html", "--data")
    assert "no such folder" in call(*arguments, tmp_path / "nowhere").error
    assert "holds nothing" in call(*arguments, tmp_path / "empty").error
    assert names(tmp_path) == {"empty"}


def test_an_index_outside_and_a_split_that_is_not_there(call: Call, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x.png")
    assert "0 to 59999" in call("data", "show", "nmnist", "60000", *out).error.replace(",", "")
    assert "train, test" in call("data", "show", "nmnist", "0", "--split", "dev", *out).error
    assert names(tmp_path) == set()


def test_prepare_writes_a_twin_that_show_reads(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "data"
    arguments = ("data", "prepare", "nmnist", "--synthetic", "2", "--to", target)
    told = json.loads(call(*arguments, "--json").out)
    assert told["synthetic"] and told["splits"]["train"]["found"] == 20 and not told["complete"]
    assert "twin, no recording" in " ".join(told["done"])
    out = tmp_path / "x.html"
    text = call("data", "show", "nmnist", "7", "--out", out).out
    assert "From a copy of 20 samples; a complete one has 60,000." in text and "Synthetic" not in text
    assert "0 to 19" in call("data", "show", "nmnist", "20", "--out", out).error
    assert "already" in call(*arguments).error


def test_prepare_adopts_what_is_there(call: Call, tmp_path: Path) -> None:
    call("data", "prepare", "nmnist", "--synthetic", "1", "--to", tmp_path / "made")
    arguments = ("data", "prepare", "nmnist", "--from", tmp_path / "made")
    assert "--partial" in call(*arguments).error
    told = json.loads(call(*arguments, "--partial", "--json").out)
    assert told["splits"]["test"]["found"] == 10 and not told["complete"]
    assert "found 10 of 60000" in call(*arguments, "--partial").out.replace(",", "")


def test_prepare_says_what_to_fetch(call: Call, tmp_path: Path) -> None:
    error = call("data", "prepare", "dvs_gesture", "--to", tmp_path / "data").error
    for said in ("DvsGesture.tar.gz", "ibm.ent.box.com", "8a5c71fb11e24e5ca5b11866ca6c00a1", "--from"):
        assert said in error


def test_real_recordings(call: Call, data_folder: Path, tmp_path: Path) -> None:
    path = data_folder / "dvs128_gesture" / "02_right_hand_wave.bin"
    told = json.loads(
        call("data", "show", path, "--sensor", "128x128", "--out", tmp_path / "x.html", "--json").out
    )
    assert told["events"] == told["points"] == 84_260
    sample = json.loads(
        call(
            *("data", "show", "nmnist", "3", "--split", "test", "--data", data_folder),
            *("--out", tmp_path / "y.html", "--json"),
        ).out
    )
    assert "60 samples" in sample["note"] and (tmp_path / "y.html").stat().st_size < 400_000


# --- in a process of its own ---

LOADED = """
import sys
from spikeflow.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([m for m in ('torch', 'matplotlib', 'tonic', 'sklearn') if m in sys.modules], file=sys.stderr)
"""
FULL = """
import resource, signal, sys
from spikeflow.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "--help"),
        ("data", "list"),
        ("data", "info", "nmnist"),
        ("data", "info", "own.bin", *SENSOR),
        ("data", "convert", "own.bin", "o.bin", "--format", "bin5"),
        ("data", "show", "own.bin", *SENSOR, "--out", "x.html"),
        ("data", "show", "own.bin", *SENSOR, "--out", "x.gif"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(apart: Call, folder: Path, arguments: tuple[str, ...]) -> None:
    ended = apart(LOADED, *(folder / a if "." in a and a != "--sensor" else a for a in arguments))
    assert ended.code == 0, ended
    assert ended.err.strip().splitlines()[-1] == "[]", ended.err


@pytest.mark.parametrize("out", ["out.html", "out.png", "out.gif", "out.bin"])
def test_a_full_disk_leaves_nothing_behind(apart: Call, folder: Path, out: str) -> None:
    (folder / out).write_bytes(b"before")
    verb = ("convert", folder / "own.bin", folder / out, "--format", "bin5")
    if out != "out.bin":
        verb = ("show", folder / "own.bin", *SENSOR, "--out", folder / out)
    ended = apart(FULL, "data", *verb)
    assert out in ended.error
    assert names(folder) == {"own.bin", out} and (folder / out).read_bytes() == b"before"


def test_the_console_script(folder: Path) -> None:
    import subprocess
    import sys

    script = Path(sys.executable).with_name("spikeflow")
    done = subprocess.run(
        [script, "data", "info", folder / "own.bin", *SENSOR, "--json"],
        capture_output=True,
        check=True,
        timeout=60,
        env=os.environ,
    )
    assert json.loads(done.stdout)["sha256"] == drifting().sha256 and done.stderr == b""
