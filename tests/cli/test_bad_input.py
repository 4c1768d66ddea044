"""Every command on bad input: exit code 1 with one paragraph, or 2 for wrong usage, and nothing half written."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeflow.ir import file
from tests.cli.conftest import Call, small_network

USAGE = [
    ("frobnicate",),
    ("show",),
    ("run", "net.h5"),
    ("convert", "ann.pt"),
    ("map", "net.h5", "--data", "x.npz", "--out", "m"),
    ("run", "net.h5", "--data", "x.npz", "--engine", "fast"),
    ("run", "net.h5", "--data", "x.npz", "--steps", "0"),
    ("run", "net.h5", "--data", "x.npz", "--limit", "-1"),
    ("convert", "ann.pt", "--out", "n", "--reset", "never"),
    ("convert", "ann.pt", "--out", "n", "--percentile", "200"),
    ("convert", "ann.pt", "--out", "n", "--steps", "many"),
    ("map", "net.h5", "--chip", "loihi2", "--chips", "0", "--data", "x.npz", "--out", "m"),
    ("show", "a", "--loud"),
    ("report", "net.h5", "--data", "x.npz"),
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_ends_with_2(call: Call, arguments: tuple[str, ...]) -> None:
    ended = call(*arguments)
    assert ended.code == 2 and ended.out == "" and "Usage: " in ended.err and "Traceback" not in ended.err


@pytest.fixture
def commands(files: Path, tmp_path: Path) -> dict[str, list[object]]:
    """Each command with everything right; a test replaces one argument."""
    data, out = files / "data.npz", tmp_path / "out"
    return {
        "show": ["show", files / "net.h5"],
        "run": ["run", files / "net.h5", "--engine", "reference", "--data", data],
        "convert": ["convert", files / "ann.pt", "--out", out, "--data", data],
        "map": ["map", files / "net.h5", "--chip", "loihi2", "--out", out, "--data", data],
        "report": ["report", files / "net.h5", "--engine", "reference", "--out", out, "--data", data],
    }


EVERY = ["show", "run", "convert", "map", "report"]
WITH_DATA = EVERY[1:]


@pytest.mark.parametrize("name", EVERY)
def test_a_missing_file(call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str) -> None:
    commands[name][1] = tmp_path / "nowhere"
    assert "nowhere" in call(*commands[name]).error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EVERY)
def test_a_folder_is_no_file(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str
) -> None:
    commands[name][1] = tmp_path
    assert str(tmp_path) in call(*commands[name]).error


@pytest.mark.parametrize("name", EVERY)
def test_a_pickle_with_code_is_never_run(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Evil()))
    commands[name][1] = path
    assert "evil.pt" in call(*commands[name]).error
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pt"]


def test_a_torch_file_with_code_is_never_run(
    call: Call, commands: dict[str, list[object]], tmp_path: Path
) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Evil()}, path)
    commands["convert"][1] = path
    assert "evil.pt" in call(*commands["convert"]).error
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pt"]


@pytest.mark.parametrize("kept", [0, 100, 512, 2000, -1])
@pytest.mark.parametrize("name", EVERY)
def test_a_truncated_file(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str, kept: int
) -> None:
    whole = Path(str(commands[name][1])).read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[:kept])
    commands[name][1] = path
    assert "cut" in call(*commands[name]).error
    assert [p.name for p in tmp_path.iterdir()] == ["cut"]


def _with_data(call: Call, command: list[object], path: Path) -> str:
    command[-1] = path
    error = call(*command).error
    assert not Path("out").exists() and not (path.parent / "out").exists()
    return error


BAD_DATA = {
    "NaN": ({"x": np.full((4, 6), np.nan, np.float32)}, "NaN"),
    "infinite": ({"x": np.full((4, 6), np.inf, np.float32)}, "infinite"),
    "wrong shape": ({"x": np.zeros((4, 7), np.float32)}, "7"),
    "more dimensions": ({"x": np.zeros((4, 6, 2), np.float32)}, "2"),
    "no samples": ({"x": np.zeros((0, 6), np.float32)}, "at least one"),
    "no x": ({"y": np.zeros(4, np.int64)}, "no array x"),
    "text": ({"x": np.full((4, 6), "a")}, "numbers"),
    "too few labels": ({"x": np.zeros((4, 6), np.float32), "y": np.zeros(3, np.int64)}, "(4, ...)"),
    "labels that are no classes": (
        {"x": np.zeros((4, 6), np.float32), "y": np.full(4, "cat")},
        "labels: got text",
    ),
    "objects": ({"x": np.full((4, 6), {}, object)}, "objects"),
}


@pytest.mark.parametrize("problem", BAD_DATA)
@pytest.mark.parametrize("name", WITH_DATA)
def test_bad_data(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str, problem: str
) -> None:
    arrays, said = BAD_DATA[problem]
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    assert said in _with_data(call, commands[name], path)


@pytest.mark.parametrize("name", WITH_DATA)
def test_data_that_is_no_archive(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(b"PK not really")
    assert "bad.npz" in _with_data(call, commands[name], path)
    path.unlink()
    assert "no such file" in _with_data(call, commands[name], path)


@pytest.mark.parametrize("name", WITH_DATA)
def test_data_cut_off(
    call: Call, commands: dict[str, list[object]], files: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "cut.npz"
    path.write_bytes((files / "data.npz").read_bytes()[:300])
    assert "cut.npz" in _with_data(call, commands[name], path)


def test_data_that_declares_more_than_it_holds(
    call: Call, commands: dict[str, list[object]], tmp_path: Path
) -> None:
    path = tmp_path / "huge.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 6), }"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member)
    assert "declares" in _with_data(call, commands["run"], path)


@pytest.mark.parametrize("chip", ["loihi9", "no.such.module", "os.path", "../chip", ""])
def test_an_unknown_chip(call: Call, commands: dict[str, list[object]], tmp_path: Path, chip: str) -> None:
    commands["map"][3] = chip
    assert "loihi1, loihi2, spinnaker2" in call(*commands["map"]).error
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_the_chip_refuses_is_told_every_reason(
    call: Call, commands: dict[str, list[object]], tmp_path: Path
) -> None:
    commands["map"][3] = "loihi1"
    error = call(*commands["map"]).error
    assert "loihi1" in error and "input" in error and "hidden" in error
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_cannot_be_converted(
    call: Call, commands: dict[str, list[object]], tmp_path: Path
) -> None:
    import torch
    from torch import nn

    torch.save(nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 3)), tmp_path / "norm.pt")
    commands["convert"][1] = tmp_path / "norm.pt"
    error = call(*commands["convert"]).error
    assert "1:" in error and "LayerNorm" in error and "--approximate norms" in error
    assert [p.name for p in tmp_path.iterdir()] == ["norm.pt"]


def test_a_weight_that_is_not_a_number(call: Call, commands: dict[str, list[object]], tmp_path: Path) -> None:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    net[0].weight.data[1, 2] = float("nan")
    torch.save(net, tmp_path / "nan.pt")
    commands["convert"][1] = tmp_path / "nan.pt"
    error = call(*commands["convert"]).error
    assert "0" in error and ("NaN" in error or "finite" in error)


def test_convert_names_data_where_nothing_tells_the_thresholds(call: Call, tmp_path: Path) -> None:
    import torch
    from torch import nn

    torch.save(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), tmp_path / "plain.pt")
    assert (
        "--data"
        in call("convert", tmp_path / "plain.pt", "--input-shape", "6", "--out", tmp_path / "out").error
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", ["banana", "0", "-3", "99999999999", "3,,4"])
def test_a_shape_that_is_none(call: Call, files: Path, tmp_path: Path, shape: str) -> None:
    ended = call("convert", files / "ann.pt", "--input-shape", shape, "--out", tmp_path / "out")
    assert ended.code in (1, 2) and "Traceback" not in ended.err and ended.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arch", ["nowhere:f", "os:getcwd", "os", "os:nothing", ":"])
def test_an_arch_that_makes_no_module(call: Call, tmp_path: Path, arch: str) -> None:
    import torch

    torch.save({"weight": torch.zeros(3, 6)}, tmp_path / "state.pt")
    ended = call(
        "convert", tmp_path / "state.pt", "--arch", arch, "--input-shape", "6", "--out", tmp_path / "out"
    )
    assert ended.code in (1, 2) and "Traceback" not in ended.err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["convert", "map", "report"])
def test_a_place_that_cannot_be_written(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str
) -> None:
    command = commands[name]
    command[command.index("--out") + 1] = tmp_path / "no" / "folder" / "out"
    assert "out" in call(*command).error
    assert list(tmp_path.iterdir()) == []


def test_report_refuses_a_network_as_a_mapping(
    call: Call, commands: dict[str, list[object]], files: Path, tmp_path: Path
) -> None:
    assert "network" in call(*commands["report"], "--map", files / "net.h5").error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run", "map", "report"])
def test_a_network_that_names_no_read_out(
    call: Call, commands: dict[str, list[object]], tmp_path: Path, name: str
) -> None:
    network = small_network()
    file.write(tmp_path / "mute.h5", replace(network, record=replace(network.record, readout="")))
    commands[name][1] = tmp_path / "mute.h5"
    assert "read out" in call(*commands[name]).error
    assert [p.name for p in tmp_path.iterdir()] == ["mute.h5"]


@pytest.mark.parametrize("seed", range(3))
def test_no_output_replaces_the_file_of_arch_or_another_output(
    call: Call, files: Path, tmp_path: Path, seed: int
) -> None:
    """Written are paths drawn of the plain name, one through `..` and one through a link."""
    draw = np.random.default_rng(seed)
    source, data = tmp_path / "models.py", tmp_path / "out.npz"
    source.write_text("def net(n=3): ...\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    same = [tmp_path, tmp_path / "folder" / "..", tmp_path / "link"][draw.integers(3)]
    arch = f"{source}:net" + ("(n=4)" if draw.random() < 0.5 else "")
    ended = call("convert", files / "ann.pt", "--arch", arch, "--out", same / "models.py")
    assert ended.code == 1 and "would overwrite" in ended.error and "def net" in source.read_text()
    run = ["run", files / "net.h5", "--data", files / "data.npz"]
    ended = call(*run, "--out", data, "--save-state", same / "out.npz")
    assert ended.code == 1 and "two outputs" in ended.error and not data.exists()
