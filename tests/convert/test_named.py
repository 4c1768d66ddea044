"""State dicts in other containers, and the user's own function that makes the module: in a file, with arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert.load.arch import make_module
from spikeflow.convert.load.network_file import load, read
from spikeflow.errors import FileError, MissingPackage
from tests.convert.networks import answers, samples

SOURCE = """
from dataclasses import dataclass
from torch import nn
from beside import WIDTH

@dataclass
class Size:
    hidden: int = WIDTH

def net(hidden=None, bias=True, *, classes=5):
    hidden = hidden or Size().hidden
    return nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, classes, bias=bias))

ready = net(4)
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder (of mine)"
    folder.mkdir()
    (folder / "models.py").write_text(SOURCE)
    (folder / "beside.py").write_text("WIDTH = 7\n")
    sys.modules.pop("beside", None)
    return folder / "models.py"


def _net(hidden: int = 7, classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, classes)).eval()


def test_a_function_in_a_file_with_arguments(models: Path) -> None:
    path = list(sys.path)
    shapes = {
        "net": [(7, 6), (7,), (5, 7), (5,)],
        "net(9)": [(9, 6), (9,), (5, 9), (5,)],
        "net(hidden=3, bias=False, classes=2)": [(3, 6), (3,), (2, 3)],
        "net( -4 + 0 if 0 else 3 )": None,
        "net(hidden=int('3'))": None,
        "ready": [(4, 6), (4,), (5, 4), (5,)],
    }
    for words, wanted in shapes.items():
        if wanted is None:
            with pytest.raises(ValueError, match="no literals"):
                make_module(f"{models}:{words}")
        else:
            assert [tuple(p.shape) for p in make_module(f"{models}:{words}").parameters()] == wanted
    assert sys.path == path and "models" not in sys.modules


def test_packages_with_arguments() -> None:
    assert isinstance(make_module("torch.nn:Linear(3, out_features=4, bias=False)"), nn.Linear)


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "float64"])
def test_safetensors(kind: str, models: Path, tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    module, x = _net(), samples((6,), 8)
    state = {name: t.to(getattr(torch, kind)) for name, t in module.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    found: Any = load(tmp_path / "net.safetensors", f"{models}:net")
    module.load_state_dict(state)
    assert np.array_equal(answers(found, x), answers(module, x))
    with pytest.raises(FileError, match="bare state dict.*--arch"):
        load(tmp_path / "net.safetensors")
    with pytest.raises(FileError, match="2.bias has shape"):
        load(tmp_path / "net.safetensors", f"{models}:net(classes=4)")
    save_file({f"net.{name}": t for name, t in state.items()}, tmp_path / "net.safetensors")
    told = read(tmp_path / "net.safetensors", f"{models}:net").warnings
    assert len(told) == 1 and "without a wrapper's words, 'net.0.bias' as '0.bias'" in told[0]


def test_damaged_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = pytest.importorskip("safetensors.numpy").save
    good = save({"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 3), np.int64)})
    for at in range(9, len(good), 7):
        (tmp_path / "cut.safetensors").write_bytes(good[:at])
        with pytest.raises(FileError):
            load(tmp_path / "cut.safetensors")
    (tmp_path / "net.safetensors").write_bytes(good)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingPackage, match="pip install 'safetensors"):
        load(tmp_path / "net.safetensors")


def test_arrays(models: Path, tmp_path: Path) -> None:
    module, x = _net(), samples((6,), 8)
    np.savez(tmp_path / "weights.npz", **{n: t.numpy() for n, t in module.state_dict().items()})
    found: Any = load(tmp_path / "weights.npz", f"{models}:net")
    assert np.array_equal(answers(found, x), answers(module, x))
    with pytest.raises(FileError, match="holds arrays and no network.*--arch"):
        load(tmp_path / "weights.npz")
    with pytest.raises(FileError, match="missing 2.bias; unexpected none|missing none; unexpected 2.bias"):
        load(tmp_path / "weights.npz", f"{models}:net(bias=False)")
    np.savez(tmp_path / "weights.npz", words=np.array(["a", "b"]))
    with pytest.raises(FileError, match="'words' is of the type"):
        load(tmp_path / "weights.npz", f"{models}:net")


NAMED = {
    "graph.pb": (b"\x08\x01\x12\x04abcd", "TensorFlow graph.*tf2onnx"),
    "squeeze.net": (b"\x4e\x36\x00\x00\xf8\x05\x00\x00", "bare weights.*--arch"),
    "darknet.weights": (b"\x00\x00\x00\x00\x02\x00\x00\x00", "bare weights"),
}


@pytest.mark.parametrize("name", NAMED)
def test_files_that_are_not_taken_are_named(name: str, tmp_path: Path) -> None:
    content, words = NAMED[name]
    (tmp_path / name).write_bytes(content + bytes(600))
    with pytest.raises(FileError, match=words):
        load(tmp_path / name)


ODD = """
import torch
from torch import nn

class Masked(nn.Module):
    def __init__(self, persistent, seed):
        super().__init__()
        self.first, self.last = nn.Linear(6, 9), nn.Linear(9, 3)
        if seed is not None:
            torch.manual_seed(seed)
        mask = (torch.rand(9) > 0.4).float()
        if persistent is None:
            self.mask = mask
        else:
            self.register_buffer("mask", mask, persistent=persistent)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)) * self.mask)

def masked(persistent=None, seed=None):
    return Masked(persistent, seed)

def tied():
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    net[2].weight = net[0].weight
    return net

def normed():
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 5)), nn.ReLU(), nn.Linear(5, 3))
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    (tmp_path / "odd.py").write_text(ODD)
    return tmp_path / "odd.py"


@pytest.mark.parametrize("ext", ["pt", "safetensors", "npz"])
@pytest.mark.parametrize("kind", [torch.int8, torch.bool])
def test_whole_numbers_in_the_place_of_real_ones_are_told(ext: str, kind: torch.dtype, models: Path, tmp_path: Path) -> None:
    """8-bit weights without their scale filled a network of floats without a word."""
    state = {key: (v * 50).to(kind) if key == "0.weight" else v for key, v in _net().state_dict().items()}
    path = tmp_path / f"net.{ext}"
    if ext == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(state, path)
    elif ext == "npz":
        np.savez(path, **{key: value.numpy() for key, value in state.items()})
    else:
        torch.save(state, path)
    told = read(path, f"{models}:net").warnings
    word = str(kind).removeprefix("torch.")
    assert len(told) == 1 and f"0.weight holds whole numbers ({word}), where the module has real ones" in told[0]


@pytest.mark.parametrize("persistent", [None, False, True])
def test_what_no_file_holds_and_a_function_draws_is_told(persistent: bool | None, odd: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = {"first.weight": torch.randn(9, 6), "first.bias": torch.randn(9), "last.weight": torch.randn(3, 9), "last.bias": torch.zeros(3)}
    if persistent:
        state["mask"] = torch.ones(9)
    torch.save(state, tmp_path / "net.pt")
    told = read(tmp_path / "net.pt", f"{odd}:masked(persistent={persistent})").warnings
    assert [("draws mask anew each time" in text) for text in told] == ([] if persistent else [True])
    assert read(tmp_path / "net.pt", f"{odd}:masked(persistent={persistent}, seed=3)").warnings == ()


def test_one_tensor_that_would_take_two_is_refused(odd: Path, tmp_path: Path) -> None:
    sizes = {"0": (6, 6), "2": (6, 6), "4": (3, 6)}
    torch.manual_seed(2)
    state = {f"{name}.weight": torch.randn(size) for name, size in sizes.items()}
    state |= {f"{name}.bias": torch.randn(size[0]) for name, size in sizes.items()}
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(FileError, match=r"0\.weight and 2\.weight are one tensor of the module"):
        read(tmp_path / "net.pt", f"{odd}:tied")
    torch.save({**state, "2.weight": state["0.weight"]}, tmp_path / "net.pt")
    assert read(tmp_path / "net.pt", f"{odd}:tied").warnings == ()


@pytest.mark.parametrize("kept", ["0.weight", "2.weight"])
def test_a_file_may_hold_a_tied_tensor_once(kept: str, odd: Path, tmp_path: Path) -> None:
    """`safetensors.torch.save_model` leaves the other name out; without the tie it is missing."""
    sizes = {"0": (6, 6), "2": (6, 6), "4": (3, 6)}
    torch.manual_seed(2)
    state = {f"{name}.bias": torch.randn(size[0]) for name, size in sizes.items()}
    state |= {kept: torch.randn(6, 6), "4.weight": torch.randn(3, 6)}
    pytest.importorskip("safetensors.torch").save_file(state, tmp_path / "net.safetensors")
    opened = read(tmp_path / "net.safetensors", f"{odd}:tied")
    assert opened.warnings == () and isinstance(opened.network, nn.Module)
    held = opened.network.state_dict()
    assert torch.equal(held["0.weight"], state[kept]) and torch.equal(held["2.weight"], state[kept])
    (tmp_path / "loose.py").write_text(ODD.replace("    net[2].weight = net[0].weight\n", ""))
    with pytest.raises(FileError, match=r"missing [02]\.weight"):
        read(tmp_path / "net.safetensors", f"{tmp_path / 'loose.py'}:tied")


def test_constants_with_zeros_left_out_are_not_drawn(odd: Path, tmp_path: Path) -> None:
    """They lie in memory in another form, and were told as drawn anew."""
    sparse = "    net = nn.Sequential(nn.Linear(6, 3))\n    net.near = torch.FORM(3).to_sparse()\n    return net\n"
    odd.write_text(ODD + "".join(f"def {form}():\n{sparse.replace('FORM', f'{form}(3, 3) + 0 * torch.eye')}" for form in ("ones", "rand")))
    torch.save(nn.Linear(6, 3).state_dict(prefix="0."), tmp_path / "net.pt")
    assert read(tmp_path / "net.pt", f"{odd}:ones").warnings == ()
    assert "draws near anew" in read(tmp_path / "net.pt", f"{odd}:rand").warnings[0]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_that_hooks_compute_are_not_drawn(odd: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 5)), nn.ReLU(), nn.Linear(5, 3))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    assert read(tmp_path / "net.pt", f"{odd}:normed").warnings == ()
