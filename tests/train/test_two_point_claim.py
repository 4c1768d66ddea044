"""The benchmark of the two-point claim: its arms are what they are called, and a run that was cut off goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.neurons import LIF, Neuron, surrogate

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
sys.path.append(BENCHMARKS)
from claim import arms, paired, runs, tasks  # noqa: E402

import two_point_claim  # noqa: E402  # isort: skip

sys.path.remove(BENCHMARKS)
SIZE = arms.Size(80, 10)


def _network(arm: str, gain: float = 1.0) -> Any:
    return arms.network(arm, SIZE, gain, surrogate.atan, seed=3).eval()


def _spikes(seed: int, samples: int = 5) -> torch.Tensor:
    """Of 20 steps, at 30 %."""
    drawn = torch.Generator().manual_seed(seed)
    return (torch.rand(20, samples, 80, generator=drawn) < 0.3).float()


def _hidden(net: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = net(4 * x, record=(arms.HIDDEN,))[0][arms.HIDDEN]
    assert found.any()
    return found


def test_parameters_are_within_2_percent_and_start_alike() -> None:
    made = {arm: _network(arm) for arm in arms.ARMS}
    counts = [arms.parameters(net) for net in made.values()]
    assert max(counts) <= 1.02 * min(counts)
    for net in made.values():
        assert torch.equal(net.layers[0].weight, made["gate"].layers[0].weight)
        assert torch.equal(net.layers[4].weight, made["gate"].layers[4].weight)
        square = next(p for p in net.layers[3].feedback.parameters())
        assert torch.equal(square, next(p for p in made["gate"].layers[3].feedback.parameters()))


@pytest.mark.parametrize("seed", range(3))
def test_gain_zero_is_a_network_of_points(seed: int) -> None:
    x, net, point = _spikes(seed), _network("gain zero"), _network("gain zero")
    point.layers[3] = Neuron(LIF(arms.DECAY))
    assert torch.equal(_hidden(net, x), _hidden(point, x))
    silent = _network("recurrent")
    for weight in silent.layers[3].feedback.parameters():
        torch.nn.init.zeros_(weight)
    assert torch.equal(_hidden(net, x), _hidden(silent, x))


@pytest.mark.parametrize("arm", arms.ARMS)
@pytest.mark.parametrize("seed", range(3))
def test_whose_spikes_come_back(arm: str, seed: int) -> None:
    """Sample 2 alone is changed: of the others only that behind it may answer to it, in the shuffled arm."""
    x, changed = _spikes(seed), _spikes(seed)
    changed[:, 2] = _spikes(seed + 100)[:, 2]
    net = _network(arm, gain=3.0)
    differs = (_hidden(net, x) != _hidden(net, changed)).any(2).any(0)
    reached = {2, 3, 4, 0, 1} if arm == "shuffled" else {2}  # through the neighbour its neighbour, and so on
    found = set(differs.nonzero().flatten().tolist())
    assert 2 in found and found <= reached and (arm != "shuffled" or 3 in found)


def test_what_comes_back_counts_in_all_arms_but_one() -> None:
    x = _spikes(0)
    for arm in arms.ARMS:
        net, cut = _network(arm), _network(arm)
        torch.nn.init.zeros_(next(p for p in cut.layers[3].feedback.parameters()))
        same = torch.equal(_hidden(net, x), _hidden(cut, x))
        assert same == arms.ARMS[arm].isolated == (arm == "gain zero"), arm


def test_no_sample_is_its_own_neighbour() -> None:
    z = torch.arange(6.0)[:, None].expand(6, 4)
    found = arms.Neighbour()(z)[:, 0].long().tolist()
    assert sorted(found) == list(range(6)) and all(i != j for i, j in enumerate(found))
    with pytest.raises(ValueError, match="at least 2"):
        arms.Neighbour()(z[:1])


@pytest.mark.parametrize("seed", range(3))
def test_the_filtered_cell_adds_a_low_pass(seed: int) -> None:
    """Against a loop in numpy, in float32 as the layer computes."""
    drawn = np.random.default_rng(seed)
    basal, back = drawn.normal(0.2, 0.6, (2, 30, 3, 7)).astype(np.float32)
    one, d, a_decay, gain = (np.float32(v) for v in (1.0, 0.8, 0.9, 0.7))
    layer = Neuron(arms.FilteredLIF(0.8, 0.9, 0.7))
    found, _ = layer({"basal": torch.from_numpy(basal), "apical": torch.from_numpy(back)})
    u, a, wanted = np.zeros((3, 7), np.float32), np.zeros((3, 7), np.float32), []
    for now, context in zip(basal, back, strict=True):
        a = a_decay * a + (one - a_decay) * context
        u = d * u + (now + gain * a)
        wanted.append(u >= 1)
        u = np.where(wanted[-1], np.float32(0), u)
    assert np.array_equal(found.numpy() != 0, np.stack(wanted)) and found.any()


def _task() -> tasks.Task:
    """Three speakers say two words: bands that rise early, or late."""
    drawn = np.random.default_rng(0)
    y = np.arange(72) % 2
    x = drawn.random((72, 6, 2, 5)) < 0.1 + 0.6 * ((np.arange(6) >= 3)[None] == y[:, None])[:, :, None, None]
    part = np.arange(72) // 24
    return tasks.Task("digits", x.astype(np.uint8), y, part, ("ann", "bob", "cid"), 1, 16, shift=1)


def test_splits_are_by_speaker() -> None:
    task = _task()
    for fold, valid in (("ann", "bob"), ("bob", "cid"), ("cid", "ann")):
        rows = task.rows(fold)
        assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(72))
        assert {task.parts[i] for i in task.part[rows["test"]]} == {fold}
        assert {task.parts[i] for i in task.part[rows["valid"]]} == {valid}


def test_samples_move_by_whole_bands_while_training_alone() -> None:
    task = _task()
    x = torch.from_numpy(task.x[:3].astype(np.float32)).transpose(0, 1)
    moved = tasks.shifted(x, np.array([0, 2, -1]))
    assert torch.equal(moved[:, 0], x[:, 0])
    assert torch.equal(moved[:, 1, :, 2:], x[:, 1, :, :3]) and not moved[:, 1, :, :2].any()
    assert torch.equal(moved[:, 2, :, :4], x[:, 2, :, 1:]) and not moved[:, 2, :, 4:].any()
    rows = np.arange(10)
    tested = torch.cat([b.x for b in tasks.Shifted(task, rows, 0, train=False).epoch(0)], 1)
    assert torch.equal(tested, torch.from_numpy(task.x[rows].astype(np.float32)).transpose(0, 1).flatten(2))
    once, again = ([b.x for b in tasks.Shifted(task, rows, 0, train=True).epoch(4)] for _ in range(2))
    assert all(map(torch.equal, once, again))


class _Killed(Exception):
    pass


def _killed_after(count: int) -> Callable[..., Iterator[Any]]:
    """A map that dies in the middle."""

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for index, item in enumerate(items):
            if index == count:
                raise _Killed
            yield function(item)

    return mapped


def _stable(record: Any) -> str:
    """Without times."""
    for arm in record["arms"].values():
        del arm["seconds"]
    return json.dumps(record)


def test_a_run_that_was_cut_off_gives_the_same_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks.TASKS, "digits", lambda folder, mapped: _task())
    for arm in set(arms.ARMS) - {"gate", "recurrent"}:
        monkeypatch.delitem(arms.ARMS, arm)
    few = runs.GRID[2:4]
    for module in (runs, two_point_claim):
        monkeypatch.setattr(module, "GRID", few)
    records = []
    for folder, deaths in (("whole", ()), ("cut", (1, 2, 2))):
        place = runs.Place(tmp_path, tmp_path / folder, "machine", "commit")
        task, names = place.task("digits"), ("bob",)
        for count in deaths:
            with pytest.raises(_Killed):
                two_point_claim.measured(task, names, 2, place, _killed_after(count))
        records.append(two_point_claim.measured(task, names, 2, place, map))
        made = len(list((tmp_path / folder).glob("digits-*.json")))
        assert made == 2 * (2 + 2) == sum(m["runs"] for m in records[-1]["made by"])
    assert _stable(records[0]) == _stable(records[1])


def test_a_run_of_other_data_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks.TASKS, "digits", lambda folder, mapped: _task())
    place, run = (
        runs.Place(tmp_path, tmp_path / "runs", "machine", "commit"),
        runs.grid("digits", "ann", "gate")[0],
    )
    runs.made(run, place)
    assert place.held(run) is not None
    told = json.loads(place.path(run).read_text())
    told["made"]["data"] = "another"
    place.path(run).write_text(json.dumps(told))
    assert place.held(run) is None


def test_intervals_of_paired_differences() -> None:
    a = np.array([[0.7, 0.8], [0.6, 0.9], [0.65, 0.7]])
    found = paired.paired(a, a - np.array([[0.1, 0.3], [0.0, 0.2], [0.1, 0.1]]))
    assert found["mean"] == pytest.approx(0.8 / 6) and found["by_fold"] == pytest.approx([0.2, 0.1, 0.1])
    # by hand: folds 0.2, 0.1, 0.1: deviation 0.057735, t(0.975, 2) = 4.302653
    half = 4.302653 * 0.05773503 / 3**0.5
    assert found["t_folds"] == pytest.approx([0.8 / 6 - half, 0.8 / 6 + half], abs=1e-6)
    assert 0.0 < found["bootstrap"][0] < 0.8 / 6 < found["bootstrap"][1] < 0.25
    assert found["better_in"] == "5 of 6 pairs"
    assert paired.paired(a[:1], a[:1])["t_folds"] is None
