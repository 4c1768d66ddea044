"""Several networks as one: each learns as alone, their mean is the file's, a break changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.cli import cli
from spikeflow.errors import DataError, FileError
from spikeflow.flows import members
from spikeflow.flows.networks import network
from spikeflow.flows.recipe_file import Data, Layers, Reduce, Task
from spikeflow.flows.train import Trained, train
from spikeflow.hw import map_network
from spikeflow.ir import file
from spikeflow.neurons import LeakyIntegrator, Neuron
from spikeflow.sim.classify import classify
from spikeflow.train import checkpoint
from spikeflow.train.history import Epoch
from spikeflow.train.recipe import Optimiser, Recipe, Weights
from spikeflow.train.rules import Rule

KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "recurrent": {"learn": ("decay",), "read_out_decay": 0.9},
    "two_point": {"neuron": "TwoPointLIF", "read_out_decay": 0.8},
    "conv_two_point": {"neuron": "TwoPointLIF", "batch_norm": True, "channels": (4,)},
}


def _task(count: int = 3, kind: str = "recurrent", **training: Any) -> Task:
    layers = Layers(kind, (16,), dropout=0.1, members=count, **KINDS[kind])
    more: dict[str, Any] = {"optimiser": Optimiser(rate=1e-2, clip=1.0), "weights": Weights(average=0.8)}
    return Task(Data("digits", steps=4, limit=160, valid=0.2), layers, Recipe(3, 7, **{**more, **training}))


def _digest(trained: Trained) -> str:
    return file.read(trained.path).graph.digest


def _held(folder: Path, name: str = "best.checkpoint") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = checkpoint.read(folder / name)["net"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_holds_the_mean_of_networks_that_learned_alone(kind: str, tmp_path: Path) -> None:
    task = _task(3, kind)
    told: list[Epoch] = []
    trained = train(task, tmp_path / "out", tell=told.append)
    assert [(row.member, row.epoch) for row in told] == [(m, e) for m in (1, 2, 3) for e in (1, 2, 3)]
    assert trained.same == 1.0 and trained.compared == 160
    alone = train(replace(task, network=replace(task.network, members=1)), tmp_path / "alone")
    first = _held(tmp_path / "out/member_1")
    assert all(torch.equal(v, first[n]) for n, v in _held(tmp_path / "alone").items())
    x = torch.rand(4, 5, 1, 8, 8)
    with torch.no_grad():
        each = [fitted.net(x)[0] for fitted in trained.members]
        mean = trained.fitted.net(x)[0]
    assert torch.equal(each[0], alone.fitted.net(x)[0]) and not torch.allclose(each[0], each[1])
    assert torch.allclose(mean, torch.stack(each).mean(0), atol=1e-5)
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert [m["seed"] for m in record["members"]] == [7, members.seed_of(7, 1), members.seed_of(7, 2)]
    assert trained.fitted.test is not None and record["test"]["samples"] == 160
    found = trained.to_json()["selection"]
    assert found["epoch"] == [fitted.best for fitted in trained.members]
    assert f"epochs {', '.join(map(str, found['epoch']))} of the members" in trained.to_text()
    assert all(
        json.loads((tmp_path / f"out/member_{k}/record.json").read_text())["test"] is None for k in (1, 2)
    )


def test_members_share_the_read_out_that_the_first_has_learned(tmp_path: Path) -> None:
    trained = train(_task(), tmp_path)
    outs = [members.read_out_of(fitted.net) for fitted in trained.members]
    decays = [out.values()["decay"].detach() for out in outs if out is not None]
    assert len(decays) == 3 and not torch.equal(decays[0], torch.full((10,), 0.9))
    assert all(torch.equal(decays[0], other) for other in decays[1:])
    learned = [any(out.parameters()) for out in outs if out is not None]
    assert learned == [True, False, False]
    populations = [n for n in file.read(trained.path).graph.nodes if n == members.MEAN]
    assert len(populations) == 1


def test_seeds_of_members_are_their_own() -> None:
    seeds = [members.seed_of(seed, member) for seed in range(20) for member in range(8)]
    assert len({*seeds}) == 160 and all(0 <= seed < 2**32 for seed in seeds)


def test_labels_of_steps_are_averaged_step_by_step() -> None:
    torch.manual_seed(1)
    layers = Layers("two_point", (6,), neuron="TwoPointLIF", read_out=False, members=2)
    each = [network(layers, (4,), 3).eval() for _ in range(2)]
    x = 3 * torch.rand(7, 2, 4)
    found, wanted = members.joined(each)(x)[0], (each[0](x)[0] + each[1](x)[0]) / 2
    assert found.shape == (7, 2, 3) and torch.allclose(found, wanted, atol=1e-6)
    leaky = Neuron(LeakyIntegrator(0.3))
    assert members.following(each[0], None) is each[0]
    last = members.read_out_of(members.following(each[0], leaky))
    assert last is not None and last.values()["decay"].item() == pytest.approx(0.3)


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("moment", ((1, 2), (1, 3), (2, 1), (3, 3)))
def test_a_break_at_any_member_changes_nothing(moment: tuple[int, int], tmp_path: Path) -> None:
    task = _task()

    def stop(row: Epoch) -> None:
        if (row.member, row.epoch) == moment:
            raise _Stopped

    whole = train(task, tmp_path / "whole")
    with pytest.raises(_Stopped):
        train(task, tmp_path / "cut", tell=stop)
    assert not (tmp_path / "cut/net.h5").exists()
    with pytest.raises(FileError, match="holds a training already"):
        train(task, tmp_path / "cut")
    went_on = train(task, tmp_path / "cut", resume=True)
    assert _digest(whole) == _digest(went_on) and whole.fitted.test == went_on.fitted.test
    records = [json.loads((tmp_path / name / "record.json").read_text()) for name in ("whole", "cut")]
    assert records[0] == records[1]


def test_more_members_go_on_from_those_that_there_are(tmp_path: Path) -> None:
    told: list[Epoch] = []
    train(_task(2), tmp_path / "grown", test=False)
    assert json.loads((tmp_path / "grown/record.json").read_text())["test"] is None
    grown = train(_task(3), tmp_path / "grown", True, told.append)
    assert [row.member for row in told] == [3, 3, 3]
    assert _digest(grown) == _digest(train(_task(3), tmp_path / "whole"))


def test_one_network_and_several_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    train(_task(1), tmp_path / "one", test=False)
    train(_task(2), tmp_path / "two", test=False)
    with pytest.raises(FileError, match=r"holds a training of one network, and network\.members is 2"):
        train(_task(2), tmp_path / "one", resume=True)
    with pytest.raises(FileError, match=r"holds a training of several networks, and network\.members is 1"):
        train(_task(1), tmp_path / "two")
    with pytest.raises(FileError, match=r"another training \(recipe, seed: 7 in the file, 8 here\)"):
        train(replace(_task(2), training=replace(_task(2).training, seed=8)), tmp_path / "two", resume=True)


@pytest.mark.parametrize("wrong", (0, -1, 65))
def test_wrong_numbers_of_members_are_refused(wrong: int) -> None:
    with pytest.raises(DataError, match=rf"network\.members: got {wrong}, expected 1 to 64"):
        Layers(members=wrong)
    with pytest.raises(DataError, match=r"network\.members"):
        Layers(members=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ("eprop", "ottt", "local"))
def test_members_learn_by_every_rule(rule: str, tmp_path: Path) -> None:
    task = replace(_task(2, "dense", rule=Rule(rule)), network=Layers(hidden=(16,), members=2))
    trained = train(task, tmp_path)
    assert trained.same == 1.0 and len(trained.members) == 2


def test_integers_and_fewer_steps_go_together_with_members(tmp_path: Path) -> None:
    task = _task(2, "dense", weights=Weights(quantise_bits=4))
    trained = train(task, tmp_path / "bits")
    for node in file.read(trained.path).graph.nodes.values():
        weight = getattr(node, "weight", None)
        if weight is not None:
            assert all(len(np.unique(row.round(6))) <= 15 for row in np.asarray(weight))
    reduced = replace(_task(2, "dense"), reduce=Reduce(5))
    trained = train(reduced, tmp_path / "reduced")
    assert (tmp_path / "reduced/member_2/steps_5/last.checkpoint").exists() and trained.same == 1.0


def test_by_command_and_on_to_run_map_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = (
        '[data]\nset = "digits"\nsteps = 4\nlimit = 160\n[network]\nhidden = [16]\nmembers = 2\n'
        "[training]\nepochs = 2\noptimiser = {rate = 1e-2}\n"
    )
    (tmp_path / "a.toml").write_text(recipe)
    x = np.random.default_rng(0).integers(0, 17, (40, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "raw.npz", x=x)
    net, data = str(tmp_path / "out/net.h5"), str(tmp_path / "raw.npz")
    cli(["train", str(tmp_path / "a.toml"), "--out", str(tmp_path / "out")], standalone_mode=False)
    said = capsys.readouterr()
    assert "member 2, epoch 2: loss" in said.err and "of the members" in said.out
    cli(["run", net, "--data", data, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["samples"] == 40
    mapped = map_network(file.read(tmp_path / "out/net.h5"), "loihi2", x, accept_loss=True)
    alike = classify(mapped.as_network(), x).predictions() == classify(file.read(Path(net)), x).predictions()
    assert alike.mean() > 0.8
    cli(["report", net, "--data", data, "--out", str(tmp_path / "report.html")], standalone_mode=False)
    assert "member_2" in (tmp_path / "report.html").read_text()


def test_joining_leaves_the_members_as_they_are() -> None:
    layers = Layers("dense", (6,), batch_norm=True)
    torch.manual_seed(0)
    each = [network(layers, (4,), 3) for _ in range(2)]
    before = [p.detach().clone() for p in each[0].parameters()]
    made = members.joined(each)
    assert all(torch.equal(a, b) for a, b in zip(before, each[0].parameters(), strict=True))
    assert not any(isinstance(m, nn.BatchNorm1d) for m in made.modules()) and not made.training
