"""Several networks as one: trained one after the other, each by its own loss; what they say is averaged.

Each is a training of its own, with a seed and a folder of its own, so that learning rules, clipping, averaged
weights, selection and `--resume` are those of a network alone. They share the read-out: its decays are
learned with the first and stay for the others. A read-out is linear, so one that adds up the mean of their
currents holds the mean of their outputs, and a chip needs one alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.errors import FileError
from spikeflow.files.write import replace_file
from spikeflow.flows.recipe_file import Task
from spikeflow.ir.graph import Edge
from spikeflow.neurons import LeakyIntegrator, Net, Neuron, Sequential
from spikeflow.neurons.wiring import FIRST
from spikeflow.train.batches import Splits
from spikeflow.train.deploy import deployed
from spikeflow.train.device import exact, placed
from spikeflow.train.epochs import score
from spikeflow.train.history import Epoch
from spikeflow.train.loop import LAST, RECORD, Fitted, Session
from spikeflow.train.ranks import Place, current
from spikeflow.train.recipe import plain
from spikeflow.version import __version__

MEAN = "mean"  # the node in which the members meet
One = Callable[[Task, Session, Neuron | None], Fitted]


@dataclass(frozen=True)
class Together:
    """What came of several networks: `fitted` is the one that they are, which has no epoch of its own (0),
    and whose history is theirs, one after the other.
    """

    fitted: Fitted
    members: tuple[Fitted, ...]


def seed_of(seed: int, member: int) -> int:
    """The seed of a member, from 0: the first has the recipe's, others far from other recipes'."""
    return int(np.random.SeedSequence((seed, member)).generate_state(1)[0]) if member else seed


def folder_of(folder: Path, member: int) -> Path:
    """Where a member is trained, from 0."""
    return folder / f"member_{member + 1}"


def check_folder(folder: Path, members: int) -> None:
    """Raise FileError for a folder that holds one network where several are trained, or several for one."""
    alone, together = (folder / LAST).exists(), (folder_of(folder, 0) / LAST).exists()
    if alone if members > 1 else together:
        held = "one network" if alone else "several networks"
        reason = f"holds a training of {held}, and network.members is {members}"
        raise FileError(folder, reason, "another folder")


def fit_members(task: Task, splits: Splits, session: Session, one: One) -> Together:
    """Train each member, and test what they are together, once.

    Parameters
    ----------
    one : trains a member by its task, which has the member's seed, with the first's read-out where it is
        given.
    """
    assert session.folder is not None
    folder, found = Path(session.folder), list[Fitted]()
    for index in range(task.network.members):
        own = replace(task, training=replace(task.training, seed=seed_of(task.training.seed, index)))
        notes = {**session.notes, "member": index + 1}
        inner = replace(
            session, folder=folder_of(folder, index), tell=_telling(session, index), notes=notes, test=False
        )
        found.append(one(own, inner, read_out_of(found[0].net) if found else None))
    fitted = _scored(task, splits, joined([each.net for each in found]), session.test)
    fitted = replace(fitted, history=tuple(row for each in found for row in each.history))
    made = Together(fitted, tuple(found))
    current().first(lambda: _record(made, task, session, folder))
    return made


def read_out_of(net: nn.Module) -> Neuron | None:
    """The layer that adds up a network's outputs; None where each step has its own."""
    last = list(net.layers)[-1]  # type: ignore[arg-type]
    return last if isinstance(last, Neuron) else None


def following(net: Sequential, first: Neuron | None) -> Sequential:
    """A member whose read-out is the first's, as that has learned it, and learns no more."""
    if first is None or not isinstance(first.model, LeakyIntegrator):
        return net
    decay = first.values()["decay"].detach().cpu().numpy().copy()
    model = replace(first.model, decay=decay)
    return Sequential(*list(net.layers)[:-1], Neuron(model, shape=decay.shape))


@torch.no_grad()
def joined(members: Sequence[nn.Module]) -> Net:
    """One network of trained ones, side by side, in evaluation mode, their norms folded: its outputs are the
    mean of theirs, up to rounding.

    Parameters
    ----------
    members : made by `flows.networks.network`, with one read-out.
    """
    nodes: dict[str, nn.Module] = {}
    read_out = read_out_of(deployed(members[0]))
    for index, member in enumerate(members):
        layers: Any = list(deployed(member).layers)  # type: ignore[arg-type]
        layers = layers if read_out is None else layers[:-1]
        for values in layers[-1].parameters():
            values /= len(members)
        nodes[f"member_{index + 1}"] = Sequential(*layers)
    edges = [edge for name in nodes for edge in (Edge("input", name, FIRST), Edge(name, MEAN, FIRST))]
    nodes[MEAN] = nn.Identity() if read_out is None else read_out
    return Net(nodes, [*edges, Edge(MEAN, "output", FIRST)]).eval()


def _telling(session: Session, member: int) -> Callable[[Epoch], None] | None:
    tell = session.tell
    return tell and (lambda row: tell(replace(row, member=member + 1)))


def _scored(task: Task, splits: Splits, net: Net, test: bool) -> Fitted:
    """What they are together, on the splits that select and test."""
    recipe = task.training
    place = Place(placed(net, recipe.device), current())
    with exact(place.device):
        valid = None if splits.valid is None else score(net, splits.valid, recipe, place)
        tested = None if splits.test is None or not test else score(net, splits.test, recipe, place)
    return Fitted(net, (), 0, valid, tested)


def _record(made: Together, task: Task, session: Session, folder: Path) -> None:
    """record.json of all together; each member's own stands in its folder."""
    fitted = made.fitted
    members = [
        {
            "seed": seed_of(task.training.seed, index),
            "epoch": each.best,
            "epochs": len(each.history),
            "valid": None if each.valid is None else asdict(each.valid),
        }
        for index, each in enumerate(made.members)
    ]
    by = "the last epoch of each, no validation split" if fitted.valid is None else "validation split"
    selection = {"by": f"{by}: each member alone", **(asdict(fitted.valid) if fitted.valid else {})}
    test = fitted.test and {"measured": "once, on the mean of the selected members", **asdict(fitted.test)}
    facts = {
        "spikeflow": __version__,
        "recipe": plain(task.training),
        "selection": selection,
        "members": members,
        "test": test,
        "epochs": len(fitted.history),
        **session.notes,
    }
    replace_file(folder / RECORD, (json.dumps(facts, indent=1).encode(),))
