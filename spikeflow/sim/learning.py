"""The meaning of `Plasticity`: synapses that change by given spikes, in plain numpy, every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.errors import DataError, ShapeError
from spikeflow.ir.plasticity import MODULATOR, SUM, Plasticity, changed, faded
from spikeflow.ir.program import Program
from spikeflow.sim.interpreter import FLUSH, Step
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses as a list: source, target, steps of delay, weight; each ``(S,)``."""

    source: Array
    target: Array
    delay: Array
    weight: Array

    def __post_init__(self) -> None:
        for name in ("source", "target", "delay"):
            value = getattr(self, name)
            if value.shape != self.weight.shape or value.dtype.kind not in "iu" or (value < 0).any():
                raise DataError(f"synapses: {name}", f"{value.dtype} {value.shape}", "whole numbers from 0")


@dataclass(frozen=True, eq=False)
class Learnt:
    """Of each step what stood at its beginning, and after the last: weights ``(T + 1, S)``, and the states of
    the synapses at the end as they are held, with the steps since they were changed.
    """

    weights: Array
    eligibility: dict[str, Array]
    since: dict[str, Array]


def learn(
    rule: Plasticity, synapses: Synapses, pre: Array, post: Array, modulator: Array | None = None
) -> Learnt:
    """Run a rule over spikes of sources ``(T, N)`` and targets ``(T, M)``, 0 or 1.

    Parameters
    ----------
    modulator : ``(T,)``, or one for each target ``(T, M)``; for rules that have one.

    Raises
    ------
    ShapeError, DataError
        For arrays that do not fit each other, and a modulator that the rule does not have.
    """
    _check(rule, synapses, pre, post, modulator)
    return _Learning(rule, synapses, pre, post).over(modulator)


def _check(rule: Plasticity, synapses: Synapses, pre: Array, post: Array, modulator: Array | None) -> None:
    if pre.ndim != 2 or post.ndim != 2 or len(pre) != len(post):
        raise ShapeError("learning", f"spikes {pre.shape} and {post.shape}", "(T, N) and (T, M)")
    if not (np.isin(pre, (0, 1)).all() and np.isin(post, (0, 1)).all()):
        raise DataError("learning: spikes", "other values", "0 and 1")
    for name, spikes in (("source", pre), ("target", post)):
        if (getattr(synapses, name) >= spikes.shape[1]).any():
            raise DataError(f"synapses: {name}", "a number beyond the last", f"0 to {spikes.shape[1] - 1}")
    shapes = ((len(pre),), post.shape)
    if modulator is not None and (modulator.shape not in shapes or not np.isfinite(modulator).all()):
        raise ShapeError("learning", f"a modulator {modulator.shape}", f"finite, {shapes[0]} or {shapes[1]}")
    if (modulator is None) != (rule.at_modulator is None):
        raise DataError(
            "learning: modulator", "one" if modulator is not None else "none", "as the rule has it"
        )


class _Learning:
    """Synapses on their way."""

    def __init__(self, rule: Plasticity, synapses: Synapses, pre: Array, post: Array) -> None:
        self.rule, self.synapses, self.pre, self.post = rule, synapses, pre, post
        self.params = {name: np.array(value, np.float32) for name, value in rule.params.items()}
        self.held = {"w": synapses.weight.astype(np.float32)}
        self.held |= {name: np.zeros_like(self.held["w"]) for name in rule.eligibility}
        self.since = {name: np.zeros(len(synapses.weight), np.int64) for name in rule.eligibility}
        self.tables = {name: faded(decay) for name, decay in rule.eligibility.items()}

    def over(self, modulator: Array | None) -> Learnt:
        """All steps."""
        sides = {
            "pre": self._traces(self.rule.pre, self.pre),
            "post": self._traces(self.rule.post, self.post),
        }
        source, target, weights = self.synapses.source, self.synapses.target, [self.held["w"].copy()]
        for t in range(len(self.pre)):
            for name in self.since:
                self.since[name] += 1
            known = t >= self.synapses.delay
            sent = np.maximum(t - self.synapses.delay, 0)
            seen = {f"pre.{n}": np.where(known, x[sent, source], 0) for n, x in sides["pre"].items()}
            seen |= {f"post.{n}": x[t, target] for n, x in sides["post"].items()}
            self._at(self.rule.at_pre, seen, known & (self.pre[sent, source] != 0))
            self._at(self.rule.at_post, seen, self.post[t, target] != 0)
            if modulator is not None and self.rule.at_modulator is not None:
                now = np.broadcast_to(modulator[t], self.post.shape[1:]).astype(np.float32)
                seen[MODULATOR] = now[target]
                self._at(self.rule.at_modulator, seen, seen[MODULATOR] != 0)
            if self.rule.scaling is not None and (t + 1) % self.rule.every == 0:
                self._scale(self.rule.scaling, {f"post.{n}": x[t] for n, x in sides["post"].items()})
            weights.append(self.held["w"].copy())
        eligibility = {name: self.held[name] for name in self.since}
        return Learnt(np.stack(weights), eligibility, self.since)

    def _traces(self, program: Program, spikes: Array) -> dict[str, Array]:
        """Each trace at the beginning of every step, ``(T, N)``."""
        step = Step(program, {name: self.params[name] for name in program.params}, False)
        state = tuple(np.zeros(spikes.shape[1], np.float32) for _ in program.states)
        rows = []
        for now in spikes.astype(np.float32):
            rows.append(state)
            _, state = step(state, (now,))
        return {name: np.stack([row[k] for row in rows]) for k, name in enumerate(program.states)}

    def _at(self, program: Program, seen: dict[str, Array], where: Array) -> None:
        """Run a program on the synapses at which something happens."""
        if not where.any():
            return
        step = Step(program, {name: self.params[name] for name in program.params}, False)
        state = tuple(self._read(name)[where] for name in self.rule.states)
        _, after = step(state, tuple(seen[name][where] for name in program.inputs))
        for name, new, value in zip(self.rule.states, changed(program), after, strict=True):
            if new:
                self.held[name][where] = self._bounded(value) if name == "w" else value
                if name in self.since:
                    self.since[name][where] = 0

    def _bounded(self, w: Array) -> Array:
        if self.rule.bounds is not None:
            low, high = map(np.float32, self.rule.bounds)
            w = np.where(w > low, w, low)
            w = np.where(w < high, w, high)
        return np.where(np.abs(w) < FLUSH, np.float32(0), w)

    def _scale(self, program: Program, seen: dict[str, Array]) -> None:
        """All weights of a target by one factor."""
        seen[SUM] = np.zeros(self.post.shape[1], np.float32)
        np.add.at(seen[SUM], self.synapses.target, self.held["w"])  # one after the other, in stored order
        step = Step(program, {name: self.params[name] for name in program.params}, False)
        factor, _ = step((), [seen[name] for name in program.inputs])
        with np.errstate(all="ignore"):
            self.held["w"] = self._bounded(self.held["w"] * factor[self.synapses.target])

    def _read(self, name: str) -> Array:
        """A state as it is now."""
        if name not in self.since:
            return self.held[name]
        table = self.tables[name]
        return self.held[name] * table[np.minimum(self.since[name], len(table) - 1)]
