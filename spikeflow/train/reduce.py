"""Fewer time steps, one at a time: a network trained with T steps is the start of a training with T - 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from spikeflow.errors import DataError
from spikeflow.train.batches import Splits
from spikeflow.train.given import described
from spikeflow.train.loop import Fitted, Session, fit
from spikeflow.train.recipe import Recipe


@dataclass(frozen=True)
class Stage:
    """A training with so many steps, the network it gave, and its epochs."""

    steps: int
    epochs: int
    fitted: Fitted


def fit_reduced(
    net: nn.Module,
    splits_at: Callable[[int], Splits],
    recipe: Recipe,
    steps: Sequence[int],
    session: Session = Session(),  # noqa: B008  (frozen)
) -> tuple[Stage, ...]:
    """Train with the first number of `steps`, go on with each fewer; the network ends with the last.

    Weights, learned thresholds and decays, and the statistics of batch norm are carried over: a network that
    starts with few steps may have silent layers that no gradient wakes. `recipe.epochs` are those of all
    stages together, shared out evenly, the first ones getting what is left over; each stage has a schedule of
    its own and hands on its best epoch on validation. The test split is looked at by the last stage alone.

    Source: S. Chowdhury, N. Rathi and K. Roy, One timestep is all you need, arXiv:2110.05929 (2021). There
    the first stage begins with a converted network, and its leaks and thresholds are learned; here
    both are the user's choice: `learn=("decay", "threshold")`.

    Parameters
    ----------
    splits_at : the splits with so many steps.
    session : its folder is that of the last stage; the others lie in it, ``steps_5`` for example.

    Raises
    ------
    DataError
        For steps that do not fall, or fewer epochs than stages; else as `fit`.
    """
    numbers = tuple(steps)
    if not numbers or numbers[-1] < 1 or any(b >= a for a, b in zip(numbers, numbers[1:], strict=False)):
        raise DataError("steps", numbers, "numbers that fall, the last at least 1", "(5, 4, 3, 2, 1)")
    if bits := recipe.weights.quantise_bits:
        raise DataError("recipe: weights.quantise_bits", bits, "0 where steps are reduced")
    if recipe.epochs < len(numbers):
        raise DataError("epochs", recipe.epochs, f"one at least for each of {len(numbers)} stages")
    each, more = divmod(recipe.epochs, len(numbers))
    stages: list[Stage] = []
    for index, count in enumerate(numbers):
        shared, splits = replace(recipe, epochs=each + (index < more)), splits_at(count)
        same = {**(session.same or described(splits)), "reduced_from": [stage.steps for stage in stages]}
        own = _session(replace(session, same=same), stages, count, count == numbers[-1])
        stages.append(Stage(count, shared.epochs, fit(net, splits, shared, own)))
    return tuple(stages)


def _session(session: Session, before: list[Stage], steps: int, last: bool) -> Session:
    """What a stage is written as: what came before it is part of what it is."""
    came: list[dict[str, Any]] = []
    for stage in before:
        valid = None if stage.fitted.valid is None else stage.fitted.valid.accuracy
        came.append({"steps": stage.steps, "epochs": stage.epochs, "valid": valid})
    notes = {**session.notes, "steps": steps, "reduced_from": came}
    if last:
        return replace(session, notes=notes)
    folder = None if session.folder is None else Path(session.folder) / f"steps_{steps}"
    return replace(session, folder=folder, notes=notes, test=False)
