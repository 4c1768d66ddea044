"""Every way to hand over samples gives the same answers, bit for bit; whatever cannot be samples ends in our error.

Drawn: 1 to 9 samples of 6 numbers or of 1 x 3 x 2, whole (0 to 120) or real (-3 to 3, on a grid that half precision
holds exactly); every real type of numpy that holds them; four memory layouts; torch in six types, with and without a
gradient; lists; data sets and loaders with and without labels; a folder of files.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from spikeflow import encode
from spikeflow.convert import agreement, convert
from spikeflow.errors import SpikeflowError
from spikeflow.hw import map_network
from spikeflow.samples import samples_of
from spikeflow.sim.classify import RunOptions, classify

SEEDS = range(12)
FLOATS = (np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8")
WHOLE = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i4", bool)


class Rows(Dataset[Any]):
    """A map-style data set of rows."""

    def __init__(self, x: Any, y: Any = None) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return self.x[index] if self.y is None else (self.x[index], self.y[index])


class Offered:
    """Offers itself as an array, as data frames do."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.x, dtype)


def drawn(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 10)), *((6,) if seed % 2 else (1, 3, 2)))
    if seed % 3 == 0:
        return rng.integers(0, 121, shape).astype(np.float32)
    return (rng.integers(-96, 97, shape) / 32).astype(np.float32)


def layouts(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "Fortran order", np.asfortranarray(x)
    yield "every other of a larger array", np.repeat(x, 2, axis=0)[::2]
    yield "backwards", np.ascontiguousarray(x[::-1])[::-1]
    view = x.copy()
    view.setflags(write=False)
    yield "read-only", view


def given(x: np.ndarray) -> Iterator[tuple[str, Any]]:
    """The same numbers in other clothes."""
    yield from layouts(x)
    for dtype in FLOATS:
        yield str(dtype), x.astype(dtype)
    for dtype in WHOLE:
        if np.array_equal(x.astype(dtype).astype(np.float32), x):
            yield str(dtype), x.astype(dtype)
    tensor = torch.from_numpy(x.copy())
    for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        yield str(kind), tensor.to(kind)
        yield f"{kind} with gradient", tensor.to(kind).requires_grad_()
    yield "a parameter", nn.Parameter(tensor)
    yield "not contiguous", tensor.movedim(-1, 0).contiguous().movedim(0, -1)
    yield "list", x.tolist()
    yield "tuple of arrays", tuple(x)
    yield "list of tensors", list(tensor)
    yield "list of lists of tensors", [list(row) for row in tensor]
    yield "offered", Offered(x)
    yield "a data set", Rows(x)
    yield "a data set of tensors", TensorDataset(tensor)
    yield "a loader", DataLoader(Rows(tensor), batch_size=2)
    yield "a loader of single items", DataLoader(Rows(tensor), batch_size=None)
    yield "unmasked", np.ma.masked_array(x)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_numbers_are_the_same_samples(seed: int) -> None:
    x = drawn(seed)
    for name, other in given(x):
        found = samples_of(other)
        assert found.x.dtype == np.float32 and found.y is None, name
        assert found.x.tobytes() == x.tobytes() and found.x.shape == x.shape, name


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_come_along(seed: int) -> None:
    x = drawn(seed)
    y = np.random.default_rng(seed).integers(0, 2, len(x))
    tensor, labels = torch.from_numpy(x.copy()), torch.from_numpy(y)
    for pairs in (
        Rows(x, y),
        Rows(x, y.astype(np.uint8)),
        Rows(tensor, y.tolist()),
        TensorDataset(tensor, labels),
        DataLoader(TensorDataset(tensor, labels), batch_size=2),
        DataLoader(Rows(tensor, labels), batch_size=None),
    ):
        found = samples_of(pairs)
        assert found.y is not None and found.y.dtype == np.int64
        assert np.array_equal(found.y, y) and found.x.tobytes() == x.tobytes()
    for alone in (y, labels, y.tolist(), y.astype(bool), labels.to(torch.int8), list(labels)):
        again = samples_of(x, alone).y
        assert again is not None and np.array_equal(again, y)


@pytest.mark.parametrize("seed", SEEDS)
def test_files_and_folders(seed: int, tmp_path: Path) -> None:
    x = drawn(seed)
    y = np.arange(len(x))
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.save(tmp_path / "b.npy", np.asfortranarray(x))
    (tmp_path / "pair").mkdir()
    np.save(tmp_path / "pair" / "x.npy", x)
    np.save(tmp_path / "pair" / "y.npy", y)
    (tmp_path / "many").mkdir()
    for i, row in enumerate(x):
        np.save(tmp_path / "many" / f"{i:03}.npy", row)
    for name, labelled in (("a.npz", True), ("b.npy", False), ("pair", True), ("many", False)):
        for path in (tmp_path / name, str(tmp_path / name)):
            found = samples_of(path)
            assert found.x.tobytes() == x.tobytes() and (found.y is not None) == labelled


class Broken(Rows):
    """A data set whose own code fails."""

    def __getitem__(self, index: int) -> Any:
        raise RuntimeError("the disk is gone")


def wrong() -> Iterator[tuple[str, Any]]:
    """What cannot be samples of 6 numbers."""
    x = np.ones((4, 6), np.float32)
    yield "none", None
    yield "text", "nowhere.npz"
    yield "a folder without files", Path("/proc/self/fdinfo")
    yield "strings", [["a"] * 6] * 4
    yield "an array of strings", np.full((4, 6), "a")
    yield "objects", x.astype(object)
    yield "fractions", [[Fraction(1, 2)] * 6] * 4
    yield "complex", x + 1j
    yield "a complex tensor", torch.ones(4, 6, dtype=torch.complex64)
    yield "dates", np.zeros((4, 6), "datetime64[s]")
    yield "records", np.zeros(4, [("a", "f4"), ("b", "f4")])
    yield "ragged", [[1.0] * 6, [1.0] * 5]
    yield "ragged tensors", [torch.ones(6), torch.ones(5)]
    yield "empty", []
    yield "no samples", x[:0]
    yield "no numbers", np.ones((4, 0))
    yield "one number", 3.0
    yield "0-d", np.array(3.0)
    yield "one sample", x[0]
    yield "NaN", np.full((4, 6), np.nan)
    yield "one infinite", np.where(np.arange(24).reshape(4, 6) == 7, np.inf, 1.0)
    yield "beyond float32", np.full((4, 6), 1e39)
    yield "beyond float32 below", np.full((4, 6), -1e39)
    yield "a large integer", [[10**400] * 6] * 4
    yield "masked", np.ma.masked_array(x, mask=x == 1)
    yield "meta", torch.ones(4, 6, device="meta")
    yield "sparse", torch.ones(4, 6).to_sparse()
    yield "sparse rows", torch.ones(4, 6).to_sparse_csr()
    yield "quantised", torch.quantize_per_tensor(torch.ones(4, 6), 0.1, 0, torch.qint8)
    yield "nested", torch.nested.nested_tensor([torch.ones(6), torch.ones(5)])
    yield "a dictionary", {"x": x}
    yield "a set", {1.0, 2.0}
    yield "a generator", (row for row in x)
    yield "an object", object()
    yield "a data set of dictionaries", Rows([{"pixels": row} for row in x])
    yield "a data set of triples", Rows([(row, 0, 0) for row in x])
    yield "an empty data set", Rows([])
    yield "a broken data set", Broken(x)
    yield "a broken loader", DataLoader(Broken(x))
    yield "wrong shape", np.ones((4, 7))
    yield "wrong rank", np.ones((4, 6, 1, 1))


@pytest.fixture(scope="module")
def made() -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return net, convert(net, np.random.default_rng(0).random((90, 6)), steps=8)


@pytest.mark.filterwarnings("ignore")
def test_every_door_refuses_in_our_words(made: tuple[nn.Module, Any]) -> None:
    net, conversion = made
    network = conversion.network
    doors = {
        "convert": lambda x: convert(net, x),
        "classify": lambda x: classify(network, x),
        "agreement": lambda x: agreement(conversion, x),
        "map_network": lambda x: map_network(network, "loihi2", x),
        "encode.rate": lambda x: encode.rate(x, 4, 1.0),
    }
    for door, call in doors.items():
        for name, x in wrong():
            if door == "encode.rate" and name.startswith(
                ("wrong", "a dictionary of", "beyond", "no numbers")
            ):
                continue  # it knows no network, and computes in float64
            if door in ("convert", "map_network") and name == "none":
                continue  # data-free, or told otherwise
            with pytest.raises(SpikeflowError):
                call(x)
                raise AssertionError(f"{door} takes {name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_every_door_gives_the_same_for_the_same_numbers(made: tuple[nn.Module, Any], seed: int) -> None:
    net, conversion = made
    rng = np.random.default_rng(seed)
    x = (rng.integers(0, 97, (90, 6)) / 32).astype(np.float32)
    want = classify(conversion.network, x).logits
    digest = convert(net, x, steps=8).network.graph.digest
    for other in (x.astype(np.float16), torch.from_numpy(x).bfloat16().requires_grad_(), x.tolist(), Rows(x)):
        assert np.array_equal(classify(conversion.network, other, RunOptions(batch=40)).logits, want)
        assert convert(net, other, steps=8).network.graph.digest == digest


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
def test_the_order_of_calibration_samples_changes_nothing(chip: str, seed: int) -> None:
    """100 samples of a t distribution with 2 degrees of freedom, permuted: the same thresholds, split, weights, scales and formats."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval()
    x = rng.standard_t(2, size=(100, 6)).astype(
        np.float32
    )  # heavy tails: which samples are looked at matters
    one = convert(net, x, steps=16).network
    first = map_network(one, chip, x)
    for _ in range(3):
        mixed = x[rng.permutation(len(x))]
        other = convert(net, mixed, steps=16).network
        assert other.graph.digest == one.graph.digest and other.record == one.record
        assert map_network(one, chip, mixed).as_graph().digest == first.as_graph().digest


def test_pictures_of_bytes_are_told_of() -> None:
    assert "255" in samples_of(np.full((2, 3), 200, np.uint8)).warnings[0]
    assert not samples_of(np.full((2, 3), 3, np.uint8)).warnings
