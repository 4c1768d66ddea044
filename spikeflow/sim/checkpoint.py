"""Checkpoint: where a classification stands, so that another command, another day, goes on with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from spikeflow.errors import DataError, FileError
from spikeflow.files.write import PathLike
from spikeflow.frozen import Frozen
from spikeflow.ir import store
from spikeflow.sim import state_file
from spikeflow.sim.state import State
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Checkpoint(Frozen):
    """The state of every sample, and what answers need besides.

    Parameters
    ----------
    state : of samples 0, 1, ..., all with the same number of steps behind them.
    added : by name of each output that hands on spikes, how many in all steps so far, ``(N, *shape)``.
    seed : from which random coding was drawn.
    behind : by name of each output what it had added up after the steps that a delayed read-out leaves out,
        ``(N, *shape)``; empty where there are none, or they are not over.
    samples : digest of what entered so far, see `digest`; empty where it is not known.

    Raises
    ------
    DataError
        Where rows differ in steps, or are not samples 0, 1, ...
    """

    state: State
    added: Mapping[str, Array]
    seed: int = 0
    behind: Mapping[str, Array] = field(default_factory=dict)
    samples: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "added", MappingProxyType(dict(self.added)))
        object.__setattr__(self, "behind", MappingProxyType(dict(self.behind)))
        if (self.state.steps != self.state.steps[0]).any():
            steps = f"{self.state.steps.min()} to {self.state.steps.max()} steps"
            raise DataError("checkpoint", f"rows with {steps} behind them", "the same number for all")
        if (self.state.sample != np.arange(self.state.rows)).any():
            raise DataError("checkpoint", "rows of other samples", "samples 0, 1, ... in order")
        if any(len(values) != self.state.rows for values in (*self.added.values(), *self.behind.values())):
            raise DataError("checkpoint", "answers of another number of samples", f"{self.state.rows}")

    @property
    def steps(self) -> int:
        """How many lie behind every sample."""
        return int(self.state.steps[0])

    def save(self, path: PathLike) -> None:
        """Write it to a file, whole or not at all; `State.load` opens it, too.

        Raises
        ------
        FileError
            Where the file cannot be written; what was there before is then still there.
        """
        manifest, arrays = state_file.encoded(self.state)
        manifest["answers"] = {"seed": self.seed, "added": list(self.added)}
        if self.behind:
            manifest["answers"]["behind"] = list(self.behind)
        if self.samples:
            manifest["answers"]["samples"] = self.samples
        answers = (*self.added.values(), *self.behind.values())
        store.write_whole(path, state_file.KIND, manifest, [*arrays, *answers])

    @staticmethod
    def load(path: PathLike, limits: store.Limits | None = None) -> Checkpoint:
        """The checkpoint in a file.

        Raises
        ------
        FileError
            For any other file; a bare state lacks what answers need.
        """
        parts, answers, arrays = state_file.read(path, limits)
        if answers is None:
            raise FileError(path, "holds a state alone", "a file of spikeflow run --save-state")
        try:
            names, later = _names(answers)
            added = dict(zip(names, arrays[: len(names)], strict=True))
            behind = dict(zip(later, arrays[len(names) :], strict=True))
            return Checkpoint(State(*parts), added, _seed(answers), behind, _digest_in(answers))
        except (DataError, TypeError, ValueError, LookupError) as error:
            raise FileError(path, f"does not hold a legal checkpoint ({error})") from error


def digest(entered: Mapping[str, Array]) -> str:
    """Of the values of each input, by its name: the same bits, the same digest."""
    found = hashlib.blake2b(digest_size=16)
    for name, values in entered.items():
        found.update(repr((name, values.shape, str(values.dtype))).encode())
        found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()


def _digest_in(answers: Any) -> str:
    text = answers.get("samples", "")
    if not isinstance(text, str) or not re.fullmatch("([0-9a-f]{32})?", text):
        raise ValueError("its digest of samples")
    return text


def _names(answers: Any) -> tuple[list[str], list[str]]:
    added, behind = answers["added"], answers.get("behind", [])
    fields = answers.keys() - {"behind", "samples"}
    if fields != {"seed", "added"} or not all(map(state_file.is_name, added + behind)):
        raise ValueError("its names")
    return [str(name) for name in added], [str(name) for name in behind]


def _seed(answers: Any) -> int:
    seed = answers["seed"]
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError("its seed")
    return seed
