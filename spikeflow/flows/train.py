"""train: a recipe file from data to a network that run, map and report take."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeflow.convert import capture_trained
from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.files.write import check_folder
from spikeflow.flows.data import Loaded, load
from spikeflow.flows.members import Together, fit_members, following
from spikeflow.flows.members import check_folder as check_members
from spikeflow.flows.networks import network
from spikeflow.flows.recipe_file import Task
from spikeflow.flows.teacher import logits
from spikeflow.ir import file
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Input
from spikeflow.ir.record import Network
from spikeflow.neurons import Neuron
from spikeflow.samples import Samples
from spikeflow.sim.classify import evaluate
from spikeflow.train.batches import Arrays, Splits
from spikeflow.train.deploy import deployed
from spikeflow.train.history import Epoch
from spikeflow.train.loop import Fitted, Session, fit
from spikeflow.train.ranks import current
from spikeflow.train.reading import read
from spikeflow.train.recipe import plain
from spikeflow.train.reduce import fit_reduced

NETWORK = "net.h5"
COMPARED = 200  # validation samples on which the file is run
ALIKE = 0.95  # share that it has to answer as torch does, or it is told


@dataclass(frozen=True)
class Trained:
    """What came of a recipe.

    Parameters
    ----------
    fitted : the training.
    path : of the network's file.
    same : share of validation samples that the engine answers, from the file, as the torch network does; None
        where that is not comparable.
    compared : how many those are.
    members : of several networks as one, the training of each; `fitted` is then what they are together.
    """

    fitted: Fitted
    path: Path
    same: float | None
    compared: int
    members: tuple[Fitted, ...] = ()

    @property
    def epoch(self) -> int | list[int]:
        """The epoch that was selected; of each member."""
        return [each.best for each in self.members] or self.fitted.best

    def to_json(self) -> dict[str, Any]:
        """Facts for machines."""
        fitted = self.fitted
        valid = None if fitted.valid is None else {"epoch": self.epoch, "accuracy": fitted.valid.accuracy}
        test = (
            None
            if fitted.test is None
            else {"accuracy": fitted.test.accuracy, "samples": fitted.test.samples}
        )
        engine = {"same": self.same, "samples": self.compared}
        return {
            "out": str(self.path),
            "epochs": len(fitted.history),
            "selection": valid,
            "test": test,
            "engine": engine,
        }

    def to_text(self) -> str:
        """In words."""
        fitted, lines = self.fitted, list[str]()
        if fitted.valid is not None:
            share, count = 100 * fitted.valid.accuracy, fitted.valid.samples
            chosen = f"epoch {fitted.best}, by"
            if self.members:
                epochs = ", ".join(str(each.best) for each in self.members)
                chosen = f"epochs {epochs} of the members, each by its own; their mean has"
            lines.append(f"selected: {chosen} {share:.2f} % of {count} on the validation split")
        if fitted.test is not None:
            share, count = 100 * fitted.test.accuracy, fitted.test.samples
            lines.append(f"test, once: {share:.2f} % of {count}")
        if self.same is not None:
            lines.append(
                f"engine: answers as torch on {100 * self.same:.1f} % of {self.compared} validation samples"
            )
        return "\n".join([*lines, f"Written: {self.path}"])


def train(
    task: Task,
    folder: str | Path,
    resume: bool = False,
    tell: Callable[[Epoch], None] | None = None,
    test: bool = True,
) -> Trained:
    """Train as a recipe says, and write the selected network as `net.h5` into the folder.

    The file holds the preprocessing: ``spikeflow run net.h5 --data`` takes samples as they are, event
    recordings where it was trained on frames of them. Checkpoints, metrics, record, and what `resume`, `tell`
    and `test` mean: see `train.loop`.

    Raises
    ------
    DataError, FileError, TrainingError
        As data sets and `fit` do.
    """
    ranks = current()
    with ranks.quiet():
        out = check_folder(folder)
        for text in (*task.data.unused(), *task.network.unused()):
            warnings.warn(text, SpikeflowWarning, stacklevel=2)
        data = load(task.data, task.training.seed)
        _teach(task, data)
        notes = {"title": task.title, "network": plain(task.network), **data.facts}
        session = Session(out, resume, tell, notes, _same(task), test)
        ranks.first(lambda: check_members(out, task.network.members))
        if task.network.members > 1:
            made = fit_members(task, data.splits, session, partial(_fitted, data))
        else:
            made = Together(_fitted(data, task, session), ())
        fitted = made.fitted
        _warn_of_chance(fitted, len(data.labels))
        fitted.net.cpu()
        same, compared = ranks.first(lambda: _written(fitted, data, task, out / NETWORK))
    return Trained(fitted, out / NETWORK, same, compared, made.members)


def _written(fitted: Fitted, data: Loaded, task: Task, path: Path) -> tuple[float | None, int]:
    """The network's file; how far it answers as torch does."""
    found = exported(fitted, data, task.data.dt_us * 1e-6)
    file.write(path, found)
    return _compared(fitted, data, found, task.training.loss.reading)


def _same(task: Task) -> dict[str, Any]:
    """What a checkpoint has to be of: all that the recipe says but where data lie, and how they are read."""
    data = {k: v for k, v in plain(task.data).items() if k not in ("folder", "test", "workers")}
    tables = {"data": data, "network": plain(task.network), "reduce": plain(task.reduce)}
    same = {f"{name}.{key}": value for name, table in tables.items() for key, value in table.items()}
    del same["network.members"]  # more of them go on from those that there are
    return same


def _fitted(data: Loaded, task: Task, session: Session, read_out: Neuron | None = None) -> Fitted:
    """The training, or the last of those with fewer and fewer steps; of a member with the read-out that the
    first has learned.
    """
    torch.manual_seed(task.training.seed)
    net = following(network(task.network, data.shape, len(data.labels)), read_out)
    first, steps = task.reduce.first, task.data.steps
    if not first:
        return fit(net, data.splits, task.training, session)

    def splits_at(number: int) -> Splits:
        if number == steps:
            return data.splits
        fewer = load(replace(task.data, steps=number), task.training.seed)
        _teach(task, fewer)
        return fewer.splits

    return fit_reduced(net, splits_at, task.training, range(first, steps - 1, -1), session)[-1].fitted


def _teach(task: Task, data: Loaded) -> None:
    """Give the training samples the logits of the ANN that is followed, where there is one."""
    chosen, train = task.training.distillation, data.splits.train
    if not chosen.weight:
        return
    if not isinstance(train, Arrays) or train.coding.kind == "spikes":
        raise DataError(
            "recipe: distillation", f"samples of {task.data.set} with a time axis", "still pictures"
        )
    train.teacher = logits(chosen.file, train.x, len(data.labels))


def _warn_of_chance(fitted: Fitted, classes: int) -> None:
    """Tell of a training after which the network answers no better than one that guesses."""
    if classes > 1 and fitted.valid is not None and fitted.valid.accuracy <= 1.2 / classes:
        right, guessed = fitted.valid.accuracy, 1 / classes
        text = (
            f"the selected network is right in {right:.1%} of the validation samples, and guessing among "
            f"{classes} classes in {guessed:.1%}: it has learned nothing. Try: a smaller rate, or more epochs"
        )
        warnings.warn(text, SpikeflowWarning, stacklevel=3)


def exported(fitted: Fitted, data: Loaded, dt: float) -> Network:
    """The selected network as a graph, its record with the preprocessing of its samples."""
    source = Input(data.shape, "current" if data.kind == "current" else "spikes")
    made = capture_trained(deployed(fitted.net), source, dt, data.steps, data.labels)
    node = made.graph.inputs[0]
    described = InputRecord(node, preprocessing=data.preprocessing)
    record = replace(made.record, coding=data.coding, inputs=(described,) if data.preprocessing else ())
    if isinstance(data.splits.train, Arrays):
        record = replace(record, seed=data.splits.train.seed)
    found = Network(made.graph, record)
    found.check()
    return found


def _compared(fitted: Fitted, data: Loaded, found: Network, reading: str) -> tuple[float | None, int]:
    """How far the engine answers, from the file, as torch does."""
    valid = data.splits.valid
    if not isinstance(valid, Arrays):
        return None, 0
    if valid.y.ndim == 2:
        text = "the labels are of steps; the answer of the file is what its outputs add up to over all steps"
        warnings.warn(text, SpikeflowWarning, stacklevel=3)
        return None, 0
    few = Arrays(valid.x[:COMPARED], valid.y[:COMPARED], valid.coding, valid.batch_size, valid.seed, False)
    with torch.no_grad():
        outputs = [fitted.net(batch.x)[0] for batch in few.epoch(0)]
    answers = np.concatenate([read(each, reading).argmax(1).numpy() for each in outputs])
    engine = evaluate(found, Samples(few.x, prepared=True)).predictions()
    same = float((engine == answers).mean())
    if same < ALIKE:
        text = (
            f"the file answers {same:.1%} of {len(few.x)} validation samples as the trained network, read by "
        )
        text += (
            f"{reading!r}, does: its own answer is what it hands on in the end, or adds up where it hands on "
        )
        text += "something in every step. Try: loss.reading last with a read-out, or sum without"
        warnings.warn(text, SpikeflowWarning, stacklevel=3)
    return same, len(few.x)
