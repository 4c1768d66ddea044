"""Networks of several outputs: named by key and index, each converted, run, mapped and chosen.

Drawn: trees of depth 1 to 3 of dictionaries, ordered dictionaries, lists, tuples, named tuples and None, of 1 to 6 heads;
a head is linear in 1 to 5 numbers, alone or followed by sigmoid, tanh or softmax, a map of 1 to 3 channels, or hidden
activations. Inputs of 6 numbers in 0 to 1.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from spikeflow.convert import convert
from spikeflow.convert.trace.returned import names_of_text
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir import file
from spikeflow.sim.classify import Evaluation, RunOptions, classify

pytestmark = pytest.mark.filterwarnings("ignore")
SEEDS = range(6)
STEPS = 128
Pair = namedtuple("Pair", "left right")
HEADS: tuple[Callable[[Any], Any], ...] = (lambda v: v, torch.sigmoid, torch.tanh, lambda v: v.softmax(1))
FINAL = ("", "sigmoid", "tanh", "softmax")


class Drawn(nn.Module):
    """A hidden layer, heads, and a tree in which they are returned."""

    def __init__(self, seed: int, archived: bool) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.hidden, self.archived = nn.Linear(6, 24), archived
        self.heads, self.made = nn.ModuleList(), list[Callable[[Any], Any]]()
        self.names, self.finals = list[str](), list[str]()
        self.plan = self._tree("", 0)
        while not self.names:
            self.plan = self._tree("", 0)

    def _tree(self, way: str, depth: int) -> Any:
        kind = "leaf" if depth == 3 else self.rng.choice(["leaf", "dict", "ordered", "list", "tuple", "pair"])
        if depth and len(self.names) < 6 and kind == "leaf":
            return self._leaf(way)
        if depth and kind == "leaf":
            return None
        if kind == "pair" and not self.archived:
            return Pair(self._tree(f"{way}.left", depth + 1), self._tree(f"{way}.right", depth + 1))
        count = int(self.rng.integers(1, 4))
        if kind in ("dict", "ordered"):
            keys = [str(self.rng.choice(["logits", "box", "aux loss", "7"])) + str(i) for i in range(count)]
            items = [(key, self._tree(f"{way}.{key}", depth + 1)) for key in keys]
            return dict(items) if kind == "dict" else OrderedDict(items)
        inner = [self._tree(f"{way}.{i}", depth + 1) for i in range(count)]
        return inner if kind == "list" else tuple(inner)

    def _leaf(self, way: str) -> int | None:
        if self.rng.random() < 0.15:
            return None
        which = int(self.rng.integers(0, 6))
        if which == 5:
            self.made.append(lambda h, layer: h)
            self.heads.append(nn.Identity())
        elif which == 4:
            channels = int(self.rng.integers(1, 4))
            self.heads.append(nn.Sequential(nn.Linear(24, channels * 6), nn.Unflatten(1, (channels, 2, 3))))
            self.made.append(lambda h, layer: layer(h))
        else:
            self.heads.append(nn.Linear(24, int(self.rng.integers(1, 6))))
            self.made.append(lambda h, layer, f=HEADS[which]: f(layer(h)))
        self.names.append(way.removeprefix("."))
        self.finals.append(FINAL[which] if which < 4 else "")
        return len(self.names) - 1

    def forward(self, x: torch.Tensor) -> Any:
        h = self.hidden(x).relu()
        return self._filled(self.plan, h)

    def _filled(self, plan: Any, h: torch.Tensor) -> Any:
        if plan is None:
            return None
        if isinstance(plan, int):
            return self.made[plan](h, self.heads[plan])
        if isinstance(plan, dict):
            return type(plan)((key, self._filled(inner, h)) for key, inner in plan.items())
        inner = [self._filled(p, h) for p in plan]
        return Pair(*inner) if isinstance(plan, Pair) else type(plan)(inner)


def samples(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((100, 6)).astype(np.float32)


def wanted(net: nn.Module, x: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        return [t.numpy() for t in tree_leaves(net(torch.from_numpy(x))) if isinstance(t, torch.Tensor)]


def check(net: Drawn, found: Evaluation, x: np.ndarray) -> None:
    """Every output by its name is close to what torch returns."""
    for name, value in zip(net.names, wanted(net, x), strict=True):
        got = found.values(output=name)
        assert got.shape == value.shape
        assert np.abs(got - value).mean() < 0.05 * max(1.0, float(np.abs(value).max())), name


@pytest.mark.parametrize("seed", SEEDS)
def test_every_output_answers_as_torch_under_its_name(seed: int, tmp_path: Path) -> None:
    net, x = Drawn(seed, archived=False).eval(), samples(seed)
    network = convert(net, x, steps=STEPS).network
    assert [(o.name, o.final) for o in network.outputs] == list(zip(net.names, net.finals, strict=True))
    check(net, classify(network, x), x)
    file.write(tmp_path / "net.h5", network)
    again = file.read(tmp_path / "net.h5")
    assert again.outputs == network.outputs and again.graph.digest == network.graph.digest


@pytest.mark.parametrize("seed", SEEDS)
def test_an_archive_has_the_same_names_and_numbers(seed: int, tmp_path: Path) -> None:
    net, x = Drawn(seed, archived=True).eval(), samples(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = ({0: torch.export.Dim.AUTO},)
        program = torch.export.export(net, (torch.from_numpy(x[:2]),), dynamic_shapes=shapes, strict=False)
        torch.export.save(program, tmp_path / "net.pt2")
    module, archive = (convert(source, x, steps=16).network for source in (net, tmp_path / "net.pt2"))
    assert archive.outputs == module.outputs
    assert np.array_equal(
        *(
            np.concatenate([v.reshape(16, 100, -1) for v in classify(n, x).outputs.values()], 2)
            for n in (module, archive)
        )
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_class_needs_the_name_of_an_output(seed: int) -> None:
    net, x = Drawn(seed, archived=False).eval(), samples(seed)
    network = convert(net, x, steps=8).network
    found = classify(network, x)
    for name, value in zip(net.names, wanted(net, x), strict=True):
        one = classify(network, x, RunOptions(output=name))
        assert np.array_equal(one.predictions(), found.predictions(output=name))
        assert np.array_equal(one.logits, found.outputs[name]) and one.chosen == name
        chosen = convert(net, x, steps=8, output=name).network
        assert np.array_equal(classify(chosen, x).predictions(), one.predictions())
        assert value.shape[1:] == one.logits.shape[2:]
    if len(net.names) > 1:
        for ask in (
            lambda: found.predictions(),
            lambda: found.accuracy(np.zeros(100, int)),
            lambda: found.logits,
        ):
            with pytest.raises(DataError, match="--output NAME"):
                ask()
    for call in (
        lambda: classify(network, x, RunOptions(output="no")),
        lambda: found.predictions(output="no"),
    ):
        with pytest.raises(DataError, match="output"):
            call()
    with pytest.raises(ConversionError, match="--output"):
        convert(net, x, output="no")
    with pytest.raises(ConversionError, match="--answer"):
        convert(net, x, answer="no=value")


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", "[1, 2]", "[1, {}]", '[1, {"type": "x", "children_spec": 3}]', "[" * 9999]
)
def test_what_an_archive_says_of_its_outputs_is_not_believed(text: str) -> None:
    assert names_of_text(text) == ()
