"""Preprocessing as plain data: what is done to samples before they enter a network, kept in the run record.

A step is a frozen dataclass of numbers and words, so a file holds it and nothing of a file is run. `Frames`
makes arrays of events, `MelSpikes` of sound; they can only come first. The others take samples
``(N, ..., *shape)`` and give such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from spikeflow.errors import DataError
from spikeflow.ir.binning import Frames
from spikeflow.ir.mel_spikes import MelSpikes
from spikeflow.typing import Array

MAX_SIDE = 1 << 14
AT_ONCE = 1 << 24  # values resized at a time
__all__ = [
    "FIRST",
    "CentreCrop",
    "First",
    "Frames",
    "MelSpikes",
    "Normalise",
    "Resize",
    "Step",
    "applied",
    "of_text",
    "plain",
]


@dataclass(frozen=True)
class Normalise:
    """``(x - mean) / std`` in float32, as torchvision's Normalize: a number for each entry of a sample's
    first axis, or one for all.

    ``Normalise(std=(255,))`` brings bytes to 0 to 1.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            given = np.atleast_1d(np.asarray(getattr(self, name), np.float64))
            if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all():
                raise DataError(
                    f"normalise: {name}", getattr(self, name), "finite numbers, one or one for each channel"
                )
            object.__setattr__(self, name, tuple(map(float, given)))
        if len(self.mean) != len(self.std) and 1 not in (len(self.mean), len(self.std)):
            raise DataError(
                "normalise", f"{len(self.mean)} means and {len(self.std)} deviations", "as many of both"
            )
        if min(self.std) <= 0 or np.float32(min(self.std)) == 0:
            raise DataError("normalise: std", self.std, "numbers above 0")

    def __call__(self, x: Array, lead: int) -> Array:
        """Samples ``(N, ..., C, ...)``, C behind `lead` axes."""
        count = max(len(self.mean), len(self.std))
        if count > 1 and x.shape[lead : lead + 1] != (count,):
            raise DataError("normalise", f"samples of shape {x.shape[lead:]}", f"{count} channels first")
        behind = (1,) * (x.ndim - lead - 1) if count > 1 else ()
        mean, std = (np.asarray(v, np.float32).reshape(-1, *behind) for v in (self.mean, self.std))
        return (x.astype(np.float32, copy=False) - mean) / std

    def __str__(self) -> str:
        mean, std = (",".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
        return f"normalise={mean}/{std}"


@dataclass(frozen=True)
class Resize:
    """The last two axes, height and width, resampled as torch's interpolate does with
    `align_corners=False`, no antialiasing.

    Pixel i of n takes position ``(i + 1/2) old / n - 1/2`` (``nearest``: ``floor(i old / n)``), in float32.
    """

    height: int
    width: int
    mode: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        _check_sides("resize", self.height, self.width)
        if self.mode not in ("bilinear", "nearest"):
            raise DataError("resize: mode", self.mode, "bilinear or nearest")

    def __call__(self, x: Array, lead: int) -> Array:
        """Samples ``(..., H, W)``."""
        _check_picture("resize", x, lead)
        if x.shape[-2:] == (self.height, self.width):
            return x
        flat = x.astype(np.float32, copy=False).reshape(-1, *x.shape[-2:])
        found = np.empty((len(flat), self.height, self.width), np.float32)
        some = max(1, AT_ONCE // (max(x.shape[-2], self.height) * max(x.shape[-1], self.width)))
        for first in range(0, len(flat), some):
            part = flat[first : first + some]
            found[first : first + some] = self._along(self._along(part, 2, self.width), 1, self.height)
        return found.reshape(*x.shape[:-2], self.height, self.width)

    def _along(self, x: Array, axis: int, new: int) -> Array:
        old = x.shape[axis]
        if self.mode == "nearest":
            return np.take(x, np.arange(new) * old // new, axis)
        at = np.maximum((np.arange(new) + 0.5) * (old / new) - 0.5, 0)
        low = at.astype(np.int64)
        share = np.reshape((at - low).astype(np.float32), (-1, *(1,) * (2 - axis)))
        high = np.minimum(low + 1, old - 1)
        return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share

    def __str__(self) -> str:
        return f"resize={self.width}x{self.height}" + (",nearest" if self.mode == "nearest" else "")


@dataclass(frozen=True)
class CentreCrop:
    """The middle of the last two axes; where that is not a whole number of pixels, one nearer to the end
    as in torchvision.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        _check_sides("crop", self.height, self.width)

    def __call__(self, x: Array, lead: int) -> Array:
        """Samples ``(..., H, W)``."""
        _check_picture("crop", x, lead)
        height, width = x.shape[-2:]
        if self.height > height or self.width > width:
            raise DataError("crop", f"pictures of {width}x{height}", f"at least {self.width}x{self.height}")
        # round half to even, as torchvision rounds
        top, left = round((height - self.height) / 2), round((width - self.width) / 2)
        return x[..., top : top + self.height, left : left + self.width]

    def __str__(self) -> str:
        return f"crop={self.width}x{self.height}"


First = Frames | MelSpikes  # makes an array, time first, of a recording
Step = First | Normalise | Resize | CentreCrop
FIRST = (Frames, MelSpikes)
_STEPS: tuple[type[Any], ...] = (*FIRST, Normalise, Resize, CentreCrop)


def plain(steps: Sequence[object]) -> tuple[Step, ...]:
    """The steps as a run record holds them; a transform of `spikeflow.datasets` that is one of them
    becomes it.

    Raises
    ------
    DataError
        For anything else, and for `Frames` or `MelSpikes` that are not the first.
    """
    found: list[Step] = []
    for step in steps:
        kind = next((k for k in _STEPS if isinstance(step, k)), None)
        if kind is None:
            wanted = ", ".join(k.__name__ for k in _STEPS)
            raise DataError("preprocessing", f"a {type(step).__name__}", f"one of {wanted}")
        if kind in FIRST and found:
            raise DataError(
                "preprocessing",
                f"{kind.__name__} behind another step",
                f"{kind.__name__} first: it takes recordings",
            )
        same = type(step) is kind
        found.append(step if same else kind(**{f.name: getattr(step, f.name) for f in fields(kind)}))  # type: ignore[arg-type]
    return tuple(found)


def applied(steps: Sequence[Step], x: Array, lead: int) -> Array:
    """Samples after all steps behind the `First`; `lead` axes stand before a sample's own shape."""
    for step in steps:
        if not isinstance(step, FIRST):
            x = step(x, lead)
    return x


def of_text(words: Sequence[str]) -> tuple[Step, ...]:
    """Steps from words: ``normalise=0.5,0.5/0.2,0.2``, ``divide=255``, ``resize=WIDTHxHEIGHT[,nearest]``,
    ``crop=WIDTHxHEIGHT``.

    Raises
    ------
    DataError
        For a word that is none of these.
    """
    return tuple(map(_of_word, words))


def _of_word(word: str) -> Step:
    name, _, said = word.partition("=")
    try:
        if name in _WORDS:
            return _WORDS[name](said)
    except ValueError:
        pass
    wanted = "normalise=MEANS/DEVIATIONS, divide=NUMBER, resize=WIDTHxHEIGHT or crop=WIDTHxHEIGHT"
    raise DataError("--preprocess", repr(word), wanted)


def _normalise(said: str) -> Step:
    mean, std = (tuple(map(float, part.split(","))) for part in said.split("/"))
    return Normalise(mean, std)


def _resize(said: str) -> Step:
    size, _, mode = said.partition(",")
    width, height = map(int, size.split("x"))
    return Resize(height, width, mode or "bilinear")  # type: ignore[arg-type]  checked there


def _crop(said: str) -> Step:
    width, height = map(int, said.split("x"))
    return CentreCrop(height, width)


_WORDS: dict[str, Callable[[str], Step]] = {
    "normalise": _normalise,
    "normalize": _normalise,
    "divide": lambda said: Normalise(std=(float(said),)),
    "resize": _resize,
    "crop": _crop,
}


def _check_sides(who: str, *sides: object) -> None:
    for side in sides:
        if isinstance(side, bool) or not isinstance(side, int | np.integer) or not 1 <= side <= MAX_SIDE:
            raise DataError(who, f"a side of {side!r}", f"whole numbers of pixels, 1 to {MAX_SIDE}")


def _check_picture(who: str, x: Array, lead: int) -> None:
    if x.ndim < lead + 2:
        raise DataError(who, f"samples of shape {x.shape[lead:]}", "pictures, (..., height, width)")
