"""Samples: what a network is run on, x and where known y; whatever a user hands over made so by one function.

`samples_of` takes arrays, tensors, lists, a torch Dataset or DataLoader, a `.npz` or `.npy` file and a folder
of `.npy` files; torch is never imported. Files are read without trusting them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow import intake
from spikeflow.errors import DataError, FileError, SpikeflowError
from spikeflow.files import npz
from spikeflow.files.npy import read_header, read_values
from spikeflow.files.opened import open_regular
from spikeflow.typing import Array

MAX_BYTES = 16 * 2**30
FLOAT32 = 4  # bytes of each value, as which samples are kept
LISTED = 8  # names of arrays that are told
HINT = "numpy.savez(path, x=..., y=...)"
BYTES = "x holds bytes"  # how the warning begins
BYTE_LIKE = 128  # the largest of 8-bit integers from which on they are taken for pictures of 0 to 255


@dataclass(frozen=True, eq=False)
class Samples:
    """Data as a network expects it.

    Parameters
    ----------
    x : float32, ``(N, ...)``.
    y : labels, one for each sample, ``(N, ...)``: int64 classes or float64 values; None where not known.
    warnings : what a user should know of how they were taken.
    prepared : whether a network's own preprocessing has been done, see `spikeflow.sim.joined.taken`.
    names : of recordings, one for each sample; empty where they have none.
    parts : of several inputs, whose values stand side by side in ``x (N, values)``: the shape of a sample of
        each, by its name, in their order; empty for one input.
    """

    x: Array
    y: Array | None = None
    warnings: tuple[str, ...] = field(default=())
    prepared: bool = False
    names: tuple[str, ...] = ()
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

    def __post_init__(self) -> None:
        x = intake.array_of("data: x", self.x)
        if x.ndim < 2 or x.size == 0:
            hint = "x[None], if it is one sample" if x.ndim == 1 and x.size else ""
            raise DataError("data: x", f"shape {x.shape}", "(samples, ...) with at least one sample", hint)
        if x.dtype == np.uint8 and x.max() >= BYTE_LIKE and not self.warnings:
            text = f"{BYTES} up to {x.max()}, taken as these numbers and not divided by 255"
            object.__setattr__(self, "warnings", (text,))
        object.__setattr__(self, "x", intake.finite_floats("data: x", x))
        if self.y is not None:
            object.__setattr__(self, "y", labels_of(self.y, len(self.x)))

    def first(self, count: int | None) -> Samples:
        """The first `count` samples; all where None."""
        if count is None:
            return self
        y = None if self.y is None else self.y[:count]
        return replace(self, x=self.x[:count], y=y, names=self.names[:count])


def labels_of(given: object, samples: int | None = None) -> Array:
    """Labels as int64 (classes), float64 (values) or bool; what they must be for an answer `ir.score` says.

    Raises
    ------
    DataError
        Where they are no numbers, not finite, or not one for each sample.
    """
    y = intake.array_of("labels", given)
    if y.ndim == 0 or (samples is not None and len(y) != samples):
        raise DataError("labels", f"shape {y.shape}", f"({'samples' if samples is None else samples}, ...)")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise DataError("labels", "NaN or infinite values", "finite values")
        return y.astype(np.float64, copy=False)
    if y.size and int(y.max()) > np.iinfo(np.int64).max:
        raise DataError("labels", f"up to {y.max()}", "numbers of at most 63 bits")
    # true and false stay so: they name one of two classes, never one of ten
    return y if y.dtype.kind == "b" else y.astype(np.int64, copy=False)


def samples_of(given: object, y: object = None) -> Samples:
    """Samples from whatever a user hands over.

    Parameters
    ----------
    given : `Samples`; an array, tensor or list ``(N, ...)``; a Dataset or DataLoader of torch whose items are
        pairs (x, y) or x alone; the path of a `.npz` file with x and where known y, of a `.npy` file, or of a
        folder of `.npy` files: x.npy and where known y.npy, or one sample each, in the order of their names.
        For several inputs a mapping of all this by their names, or a `.npz` file with an array for each.
    y : labels, where they do not come with the samples.

    Raises
    ------
    DataError
        Where there are no samples, or they are not finite numbers of one shape.
    FileError
        Where a file is missing or damaged.
    """
    found = given if isinstance(given, Samples) else _samples(given)
    if y is None:
        return found
    if found.y is not None:
        raise DataError("labels", "labels beside samples that bring their own", "one of the two")
    return replace(found, y=labels_of(y, len(found.x)))


def _samples(given: Any) -> Samples:
    if isinstance(given, Mapping):
        return side_by_side(given)
    if isinstance(given, str | os.PathLike):
        return _read(Path(given))
    if _is_loader(given):
        single = getattr(given, "batch_size", 1) is None and getattr(given, "batch_sampler", None) is None
        return gathered(given, single)
    if _is_dataset(given):
        return gathered((given[i] for i in range(len(given))), single=True)
    if isinstance(given, Iterator) or (hasattr(given, "__iter__") and not hasattr(given, "__len__")):
        kind = type(given).__name__
        raise DataError(
            "data", f"a {kind}, which may never end", "an array, a list or a DataLoader", "list(x)"
        )
    return Samples(given)


def side_by_side(given: Mapping[Any, object], y: Array | None = None) -> Samples:
    """Samples of several inputs, their values side by side.

    Raises
    ------
    DataError
        Where there are none, or not as many samples of each.
    """
    found = {str(name): samples_of(part) for name, part in given.items()}
    if not found or len({len(part.x) for part in found.values()}) > 1:
        got = ", ".join(f"{name}: {part.x.shape}" for name, part in found.items()) or "no inputs"
        raise DataError("data", got, "as many samples of every input")
    labels = [part.y for part in found.values() if part.y is not None]
    flat = [part.x.reshape(len(part.x), -1) for part in found.values()]
    told = tuple(dict.fromkeys(text for part in found.values() for text in part.warnings))
    label = y if y is not None else labels[0] if labels else None
    parts = {name: part.x.shape[1:] for name, part in found.items()}
    return Samples(np.concatenate(flat, axis=1), label, told, parts=parts)


def by_input(samples: Samples) -> dict[str, Array]:
    """The samples of each of several inputs, ``(N, *shape)``, by its name."""
    ends = np.cumsum([prod(shape) for shape in samples.parts.values()]).tolist()
    return {
        name: samples.x[:, end - prod(shape) : end].reshape(-1, *shape)
        for (name, shape), end in zip(samples.parts.items(), ends, strict=True)
    }


def _is_loader(given: Any) -> bool:
    return all(hasattr(given, name) for name in ("dataset", "batch_size", "__iter__"))


def _is_dataset(given: Any) -> bool:
    array = isinstance(given, np.ndarray | list | tuple | Mapping | bytes) or intake.is_tensor(given)
    offers = any(
        hasattr(given, name) for name in ("__array__", "__array_interface__", "__buffer__", "toarray")
    )
    return not array and not offers and hasattr(given, "__getitem__") and hasattr(given, "__len__")


def gathered(items: Iterable[Any], single: bool) -> Samples:
    """Samples from items, or batches, of pairs (x, y) or of x alone."""
    xs: list[Array] = []
    ys: list[Array] = []
    size = 0
    for item in _told(items):
        x, y = _pair(item)
        xs.append(_row("data: x", x, single))
        size += xs[-1].size * FLOAT32
        if size > MAX_BYTES:
            raise DataError("data", f"more than {size} bytes", f"at most {MAX_BYTES}", "fewer samples")
        if y is not None:
            ys.append(_row("labels", y, single))
    if not xs or sum(map(len, xs)) == 0:
        raise DataError("data", "no samples", "at least one")
    if ys and len(ys) != len(xs):
        raise DataError("labels", f"for {len(ys)} of {len(xs)} items", "for all, or for none")
    return Samples(_joined("data: x", xs), _joined("labels", ys) if ys else None)


def _told(items: Iterable[Any]) -> Iterator[Any]:
    """The items; an error of the user's own code is told as one."""
    rest = iter(items)
    while True:
        try:
            item = next(rest)
        except StopIteration:
            return
        except SpikeflowError:
            raise
        except Exception as error:
            raise DataError("data", f"an error of the data set itself ({error!r:.200})", "samples") from error
        yield item


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, list | tuple):
        return item, None
    if len(item) > 2 or not item:
        raise DataError(
            "data", f"items of {len(item)} parts", "x alone, or pairs (x, y)", "a data set of pairs"
        )
    return item[0], (item[1] if len(item) == 2 else None)


def _row(what: str, given: object, single: bool) -> Array:
    array = intake.array_of(what, given)
    return array[None] if single else array


def _joined(what: str, parts: list[Array]) -> Array:
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        few = " and ".join(str(s) for s in sorted(shapes, key=str)[:2])
        raise DataError(what, f"items of different shapes, such as {few}", "items of one shape")
    return np.concatenate(parts)


def _read(path: Path) -> Samples:
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
        if {file.name for file in files} in ({"x.npy"}, {"x.npy", "y.npy"}):
            return Samples(read_npy(files[0]), read_npy(files[1]) if len(files) == 2 else None)
        if not files:
            raise FileError(
                path, "holds no .npy files", "a folder of one .npy file for each sample, or a .npz file"
            )
        found = gathered((read_npy(file) for file in files), single=True)
        return replace(found, names=tuple(map(str, files)))
    return Samples(read_npy(path)) if path.suffix == ".npy" else read_npz(path)


def fitting(samples: Samples, shape: tuple[int, ...], what: str = "data: x") -> Array:
    """x of samples of this shape; DataError where theirs is another, with what to try."""
    got = samples.x.shape[1:]
    if got != tuple(shape):
        wanted = ", ".join(map(str, shape))
        raise DataError(
            what, f"shape {samples.x.shape}", f"(samples, {wanted})", intake.shape_hint(got, tuple(shape))
        )
    return samples.x


def read_npy(path: str | Path) -> Array:
    """The array in a `.npy` file; its size is checked before anything is read.

    Raises
    ------
    FileError
        Where the file is missing, damaged, too large, or holds Python objects.
    """
    stream, length = open_regular(path)
    with stream:
        header = read_header(path, stream)
        if header.nbytes > min(length, MAX_BYTES):
            raise FileError(path, f"declares {header.nbytes} bytes; the file holds {length}")
        return read_values(path, stream, header)


def read_npz(path: str | Path) -> Samples:
    """Read x and, where present, y. Nothing in the file is run; sizes are checked before anything is read.

    Raises
    ------
    FileError
        Where the file is missing, damaged, too large, or holds no x.
    DataError
        Where the arrays are empty, of a wrong kind, or not finite.
    """
    arrays = npz.read(path, npz.Wanted(("x", "y"), MAX_BYTES, FLOAT32))
    others = [name for name in npz.names(path) if name not in ("x", "y")]
    listed = ", ".join(others[:LISTED])
    if "x" in arrays:
        found = Samples(arrays["x"], arrays.get("y"))
        left = f"{path}: of its arrays x are the samples and y the labels; not read: {listed}"
        return replace(found, warnings=(*found.warnings, left)) if others else found
    several = npz.read(path, npz.Wanted(others, MAX_BYTES, FLOAT32)) if len(others) > 1 else {}
    if not several or any(array.ndim < 2 for array in several.values()):
        raise FileError(path, f"holds no array x{f', but {listed}' if others else ''}", HINT)
    return side_by_side(several, arrays.get("y"))


def read_arrays(path: str | Path, names: Iterable[str], limit: int = MAX_BYTES) -> dict[str, Array]:
    """The arrays of these names that a `.npz` file holds, each of at most `limit` bytes.

    Raises
    ------
    FileError
        Where the file is missing, damaged, or an array is too large, longer than its entry, or of Python
        objects.
    """
    return npz.read(path, npz.Wanted(names, limit))
