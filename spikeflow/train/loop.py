"""fit: train a network by a recipe; selected on validation, tested once, resumed bit for bit."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.files.write import alone_in, replace_file
from spikeflow.train import checkpoint, history
from spikeflow.train.batches import Batch, Splits
from spikeflow.train.device import WHERE, described, exact, moved, placed
from spikeflow.train.epochs import Model, Score, evaluate, train_epoch
from spikeflow.train.given import (
    check_apart,
    check_classes,
    check_given,
    check_padding,
    check_steps,
    first_batch,
)
from spikeflow.train.given import described as described_splits
from spikeflow.train.health import SMALLER, check_shapes, check_weights
from spikeflow.train.history import Epoch
from spikeflow.train.inside import neurons
from spikeflow.train.ranks import Place, current, digests
from spikeflow.train.recipe import Recipe, plain
from spikeflow.train.shares import check_shareable
from spikeflow.version import __version__

LAST, BEST, TABLE, RECORD = "last.checkpoint", "best.checkpoint", "metrics.csv", "record.json"


@dataclass(frozen=True)
class Session:
    """Where a training is written, and whether it goes on.

    Parameters
    ----------
    folder : of checkpoints, metrics and record; None: nothing is written.
    resume : go on from the folder's last checkpoint, where there is one; the outcome is that of a training
        without a break, bit for bit, on machines of one kind.
    tell : called with each epoch.
    notes : kept in the record: the data, for example.
    same : which data a checkpoint must be of to be gone on from, in plain values; empty: digests of arrays
        say it, of other splits the number of their batches.
    test : whether the test split is looked at; False while recipes are still chosen between: the one that is
        chosen is then resumed with True.
    """

    folder: str | Path | None = None
    resume: bool = False
    tell: Callable[[Epoch], None] | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    same: dict[str, Any] = field(default_factory=dict[str, Any])
    test: bool = True


@dataclass(frozen=True)
class Fitted:
    """What training gave.

    Parameters
    ----------
    net : the network, with the weights that were selected, in evaluation mode.
    history : every epoch.
    best : number of the epoch that was selected.
    valid : its score on the validation split, by which it was selected; None without that split.
    test : the score on the test split, measured once, with these weights; None without that split.
    """

    net: nn.Module
    history: tuple[Epoch, ...]
    best: int
    valid: Score | None
    test: Score | None


def fit(
    net: nn.Module,
    splits: Splits,
    recipe: Recipe = Recipe(),  # noqa: B008  (frozen)
    session: Session = Session(),
) -> Fitted:
    """Train a network; the weights of the best epoch on the validation split are kept and tested once.

    The best epoch is the first of the largest accuracy, among equal ones that of the lowest loss. Without a
    validation split it is the last. The test split is looked at once, at the very end. In `session.folder`
    stand `last.checkpoint`, `best.checkpoint`, `metrics.csv` and `record.json`, which says what was selected
    by which split; each is written whole or not at all, so that a kill at any moment loses an epoch at most.

    Random numbers of torch, numpy and Python are seeded from the recipe, and are part of the checkpoints.
    The network goes to `recipe.device` and stays there; checkpoints know no device, the record names it.

    Raises
    ------
    TrainingError
        For a parameter, loss or gradient that is no finite number, by layer and step.
    DataError
        For a class without a training sample, a patience without a validation split, and a device that is
        not there.
    FileError
        For a folder that cannot be written or that another training writes at this moment, a full disk, and a
        checkpoint of other data, another network or recipe.
    """
    check_weights(net)
    check_given(splits, recipe)
    place = Place(placed(net, recipe.device), current())
    with exact(place.device), place.ranks.quiet(), ExitStack() as held:
        check_classes(splits)
        check_apart(splits)
        check_steps(splits)
        batch = moved(first_batch(splits.train), place.device)
        check_shapes(net, batch.x)
        check_padding(net, batch)
        if not place.ranks.alone:
            _gather(net, splits, batch, place)
        run = _Run(net, splits, recipe, session, place)
        run.model.see(batch.x)
        if (folder := run.folder) is not None:
            place.ranks.first(lambda: held.enter_context(alone_in(folder)))
        run.begin()
        while not run.ended:
            run.one_epoch()
        return run.end()


def _gather(net: nn.Module, splits: Splits, batch: Batch, place: Place) -> None:
    """What several processes begin with: the same batches, and the network of rank 0."""
    if place.device.type != "cpu":
        raise DataError(WHERE, str(place.device), "cpu in several processes", "one process for each GPU")
    check_shareable(net)
    x: Any = batch.x
    parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    sizes = {f"batches of {name}": len(part) for name, part in parts.items() if part is not None}
    first = digests({**(x if isinstance(x, dict) else {"x": x}), "labels": batch.labels})
    hint = "all samples to every process, in one order: each takes its share of a batch itself"
    ranks = place.ranks
    ranks.check_same("data", {**sizes, **first}, hint)
    ranks.check_same("the network", checkpoint.signature(net), "the same program in every process")
    net.load_state_dict(ranks.first(lambda: dict(net.state_dict())))


def check_unused(session: Session) -> None:
    """Raise FileError where a training that shall begin anew finds one in its folder."""
    if session.folder is not None and not session.resume and (Path(session.folder) / LAST).exists():
        raise FileError(session.folder, "holds a training already", "--resume, or another folder")


class _Run:
    """A training on its way: what its checkpoints hold."""

    def __init__(
        self, net: nn.Module, splits: Splits, recipe: Recipe, session: Session, place: Place
    ) -> None:
        self.splits, self.recipe, self.session, self.ranks = splits, recipe, session, place.ranks
        self.folder = None if session.folder is None else Path(session.folder)
        checkpoint.seed_all(recipe.seed)
        self.model = Model(net, recipe, len(splits.train), place)
        # another device may go on, and is told as another machine
        same = {name: value for name, value in plain(recipe).items() if name != "device"}
        data = session.same or described_splits(splits)
        self.identity = {"recipe": same, "data": data, **checkpoint.signature(net)}
        self.ranks.check_same("recipe", same, "the same recipe in every process")
        self.history: list[Epoch] = []
        self.best: dict[str, Any] = {}
        self.tested: dict[str, Any] | None = None
        self.board: Any = None

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or the patience is."""
        done, best = len(self.history), self.best.get("epoch", 0)
        return done >= self.recipe.epochs or bool(
            self.recipe.patience and done - best >= self.recipe.patience
        )

    def begin(self) -> None:
        """Start, or go on from the last checkpoint."""
        state = self.ranks.first(self._opened)
        if state is None:
            self.model.begin(self.splits.train)
        else:
            self._restore(state)
        if self.folder is not None and self.ranks.rank == 0:
            self.board = history.board(self.folder, len(self.history) + 1)

    def _opened(self) -> dict[str, Any] | None:
        """Of a training that goes on what its last checkpoint holds."""
        if self.folder is None:
            return None
        check_unused(self.session)
        last = self.folder / LAST
        return checkpoint.read(last) if last.exists() else None

    def one_epoch(self) -> None:
        """Train an epoch, validate, and write it all down."""
        number = len(self.history)
        score, norm = train_epoch(self.model, self.splits.train, number)
        self._check_alike(number + 1)
        valid = Score() if self.splits.valid is None else evaluate(self.model, self.splits.valid)
        if self.splits.valid is not None and not math.isfinite(valid.loss):
            text = f"epoch {number + 1}: the loss on the validation split is {valid.loss}"
            warnings.warn(f"{text}. Try: {SMALLER}", SpikeflowWarning, stacklevel=3)
        rate = float(self.model.optimiser.param_groups[0]["lr"])
        best = self.splits.valid is None or not self.best or valid.better(Score(**self.best["valid"]))
        row = Epoch(number + 1, rate, score.loss, score.accuracy, valid.loss, valid.accuracy, norm, best)
        self.history.append(row)
        if best:
            kept = {n: v.detach().clone() for n, v in self.model.selected.state_dict().items()}
            self.best = {"epoch": number + 1, "valid": asdict(valid), "net": kept}
        self.ranks.first(lambda: self._write(best))
        if self.board is not None:
            history.to_board(self.board, row)
        if self.session.tell is not None and self.ranks.rank == 0:
            self.session.tell(row)

    def _check_alike(self, epoch: int) -> None:
        """Several processes hold one network: what became different was not shared."""
        if not self.ranks.alone:
            state = digests({**self.model.net.state_dict(), "random numbers": torch.get_rng_state()})
            hint = "one process: this part follows the samples, or draws numbers, of each process by itself"
            self.ranks.check_same(f"the network after epoch {epoch}", state, hint)

    def end(self) -> Fitted:
        """The selected weights, tested once; where that was done before the break, its result."""
        self.model.net.load_state_dict(self.best["net"])
        self.model.net.eval()
        if self.splits.test is not None and self.tested is None and self.session.test:
            self.tested = asdict(evaluate(self.model, self.splits.test, self.model.net))
            self.ranks.first(lambda: self._write(False))
        self.ranks.first(self._record)
        if self.board is not None:
            self.board.close()
        valid = None if self.splits.valid is None else Score(**self.best["valid"])
        test = None if self.tested is None else Score(**self.tested)
        return Fitted(self.model.net, tuple(self.history), self.best["epoch"], valid, test)

    def _state(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "model": self.model.state(),
            "random": checkpoint.random_state(self.model.device),
            "history": [asdict(row) for row in self.history],
            "best": self.best,
            "tested": self.tested,
            "machine": self._machine(),
        }

    def _machine(self) -> dict[str, Any]:
        kernels = {name: layer.kernel for name, layer in neurons(self.model.net).items()}
        here = {"processes": self.ranks.world, "device": described(self.model.device)}
        return {**here, "threads": torch.get_num_threads(), "torch": torch.__version__, "kernels": kernels}

    def _write(self, best: bool) -> None:
        if self.folder is None:
            return
        state = self._state()
        # the best first: where the last is there, all that it speaks of is
        if best:
            checkpoint.write(self.folder / BEST, {"identity": self.identity, **self.best})
        history.write_table(self.folder / TABLE, self.history)
        checkpoint.write(self.folder / LAST, state)

    def _restore(self, state: dict[str, Any]) -> None:
        assert self.folder is not None
        path = self.folder / LAST
        try:
            checkpoint.check_same(path, state["identity"], self.identity)
            self.model.restore(state["model"])
            self.history = [Epoch(**row) for row in state["history"]]
            self.best, self.tested = state["best"], state["tested"]
            # what was written before there were several processes says nothing of them
            held, here = {"processes": 1, **state["machine"]}, self._machine()
            checkpoint.set_random_state(state["random"], self.model.device)
        except FileError:
            raise
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise FileError(path, f"does not hold a checkpoint as fit writes it ({error!s:.200})") from error
        if held != here:
            name = next(n for n in here if held.get(n) != here[n])
            text = f"{name} was {held.get(name)!s:.60} before the break and is {here[name]!s:.60}"
            text += ": results may differ"
            warnings.warn(text, SpikeflowWarning, stacklevel=5)

    def _record(self) -> None:
        if self.folder is None:
            return
        selection = {"epoch": self.best["epoch"], "by": "the last epoch, no validation split"}
        if self.splits.valid is not None:
            selection = {"epoch": self.best["epoch"], "by": "validation split", **self.best["valid"]}
        test = None if self.tested is None else {"measured": "once, on the selected weights", **self.tested}
        facts = {
            "spikeflow": __version__,
            "recipe": plain(self.recipe),
            "selection": selection,
            "test": test,
            "epochs": len(self.history),
            "machine": self._machine(),
            **self.session.notes,
        }
        replace_file(self.folder / RECORD, (json.dumps(facts, indent=1).encode(),))
