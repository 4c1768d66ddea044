"""As much of Triton as the printed kernels use, in numpy: their text runs where Triton is not installed.

Each lane of a block is an element of an array, each program of the grid a call; every operation rounds by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch


class Lanes(np.ndarray):
    """A block of values."""

    def to(self, dtype: Any, bitcast: bool = False) -> Any:
        return self.view(dtype) if bitcast else self.astype(dtype)


class Pointer:
    """Addresses into one array."""

    def __init__(self, array: np.ndarray, index: Any = 0) -> None:
        self.array, self.index = array, index

    def __add__(self, offset: Any) -> Pointer:
        return Pointer(self.array, self.index + offset)


def lanes(values: Any, dtype: Any = None) -> Any:
    return np.atleast_1d(np.asarray(values, dtype)).view(Lanes)


def load(at: Pointer, inside: Any, other: float) -> Any:
    index = np.broadcast_to(np.asarray(at.index), inside.shape)
    assert (index[inside] >= 0).all() and (index[inside] < len(at.array)).all(), "outside the array"
    return lanes(np.where(inside, at.array[np.where(inside, index, 0)], at.array.dtype.type(other)))


def store(at: Pointer, values: Any, inside: Any) -> None:
    index = np.broadcast_to(np.asarray(at.index), inside.shape)[inside]
    assert (index >= 0).all() and (index < len(at.array)).all(), "outside the array"
    assert np.asarray(values).dtype == at.array.dtype, "another type than the array's"
    at.array[index] = np.broadcast_to(values, inside.shape)[inside]


def language() -> ModuleType:
    """``triton.language``."""
    tl = ModuleType("triton.language")
    tl.float32, tl.float64, tl.int32, tl.int64, tl.constexpr = np.float32, np.float64, np.int32, np.int64, int
    tl.load, tl.store = load, store
    tl.where = lambda c, a, b: lanes(np.where(c, a, b))
    tl.full = lambda shape, value, dtype: lanes(np.full(shape, value, dtype))
    tl.zeros = lambda shape, dtype: lanes(np.zeros(shape, dtype))
    tl.arange = lambda a, b: lanes(np.arange(a, b))
    tl.cast = lambda value, dtype: dtype(value)
    tl.abs, tl.floor, tl.div_rn = np.abs, np.floor, np.divide
    return tl


class Kernel:
    """A function launched over a grid."""

    def __init__(self, function: Callable[..., None], tl: ModuleType) -> None:
        self.function, self.tl = function, tl

    def __getitem__(self, grid: tuple[int]) -> Callable[..., None]:
        def launch(*arguments: Any, BLOCK: int, enable_fp_fusion: bool) -> None:
            assert not enable_fp_fusion, "a product and a sum would round once"
            held = [Pointer(flat(a)) if isinstance(a, torch.Tensor) else a for a in arguments]
            for program in range(grid[0]):
                self.tl.program_id = lambda axis, program=program: lanes(program)  # type: ignore[attr-defined]
                with np.errstate(all="ignore"):
                    self.function(*held, BLOCK=BLOCK)

        return launch


def flat(tensor: torch.Tensor) -> np.ndarray:
    """The memory of a tensor in C order, or the one number that it holds."""
    array = tensor.detach().numpy()
    if not any(tensor.stride()):
        return array.reshape(-1)[:1]
    assert tensor.is_contiguous(), "not in C order"
    return array.reshape(-1)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts this in Triton's place."""
    triton, tl = ModuleType("triton"), language()
    triton.jit, triton.language = lambda function: Kernel(function, tl), tl  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton", triton)
    monkeypatch.setitem(sys.modules, "triton.language", tl)
