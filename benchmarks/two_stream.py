"""Seeing and hearing a digit under noise: two streams of 64 cells with context from each other, against point cells.

python benchmarks/two_stream.py --data DIR --out FOLDER [--seeds 0 1 2] [--processes 2]

A picture of MNIST and a recording of the same digit, each with noise of its own; T = 20. The picture enters in every
step, the recording as 40 mel bands in 20 steps of 25 ms. Context is what both streams spiked a step before. Arms:

    point      u <- d u + J,                     J = 0.5 BN(W x), context unused
    additive   u <- d u + J + 0.5 a,             a <- l a + (1 - l) 3 (W_other s_other + W_own s_own)
    gate       u <- d u + J (1 + tanh a),        a as above

The additive control and the gate have the same parameters. Decays 0.8, threshold 1, reset to zero. 4,000 pairs train an epoch, 1,000 select the
epoch, 2,000 test once: training pictures with the recordings 5 to 44, others with 45 to 49, test pictures with 0 to 4.
After training 30 % of the cells of one stream are silenced, each stream in turn, the same cells in every arm of a seed.
FOLDER/two_stream.json holds all runs; a run that is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claim.arms import FilteredLIF
from torch import nn

from spikeflow.datasets.sets import catalog
from spikeflow.datasets.sets.spoken_digits import SpokenDigits
from spikeflow.datasets.stored.layouts import number
from spikeflow.files.write import replace_file
from spikeflow.ir.graph import Edge
from spikeflow.ir.mel_spikes import MelSpikes
from spikeflow.neurons import LIF, LeakyIntegrator, Net, Neuron, TwoPointLIF
from spikeflow.train.norm import td_batch_norm
from spikeflow.typing import Array

CELLS, STEPS, DECAY, GAIN, DRIVE = 64, 20, 0.8, 3.0, 0.5
TRAIN, VALID, TEST, BATCH, EPOCHS, SILENCED = 4000, 1000, 2000, 50, 8, 0.3
ARMS = ("point", "additive", "gate")
NOISES = {
    "light": (0.5, 0.15),
    "heavy": (1.6, 0.5),
}  # deviations: of a pixel from 0 to 1, of a level from 0 to 1
EAR = MelSpikes(steps=STEPS, step_us=25_000, onset=0.0)


@dataclass(frozen=True)
class Run:
    """One training."""

    arm: str
    noise: str
    seed: int


class Mask(nn.Module):
    """Cells that speak: all at first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("speaks", torch.ones(CELLS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.speaks


def network(arm: str) -> Net:
    """Two streams, each with context from both, and one read-out."""
    model: Any = {
        "point": lambda: LIF(DECAY, reset="zero"),
        "additive": lambda: FilteredLIF(DECAY, DECAY, gain=DRIVE * GAIN),
        "gate": lambda: TwoPointLIF(DECAY, DECAY, gain=GAIN),
    }[arm]
    nodes: dict[str, nn.Module] = {"readout": Neuron(LeakyIntegrator(0.98))}
    edges = [Edge("readout", "output")]
    for stream, size, other in (("eye", 28 * 28, "ear"), ("ear", EAR.bands, "eye")):
        nodes[f"{stream}_in"] = nn.Linear(size, CELLS)
        nodes[f"{stream}_norm"] = td_batch_norm(CELLS, 1, DRIVE)
        nodes[stream], nodes[f"{stream}_mask"] = Neuron(model()), Mask()
        nodes[f"{stream}_answer"] = nn.Linear(CELLS, 10)
        for source in (stream, other):
            back = nn.Linear(CELLS, CELLS, bias=False)
            nn.init.orthogonal_(back.weight, 0.5)
            nodes[f"{source}_to_{stream}"] = back
            if arm != "point":
                edges.append(Edge(f"{source}_mask", f"{source}_to_{stream}", delay=1))
                edges.append(Edge(f"{source}_to_{stream}", stream, "apical"))
        first = "in" if arm == "point" else "basal"
        edges += [
            Edge(f"{stream}_seen", f"{stream}_in"), Edge(f"{stream}_in", f"{stream}_norm"),
            Edge(f"{stream}_norm", stream, first), Edge(stream, f"{stream}_mask"),
            Edge(f"{stream}_mask", f"{stream}_answer"), Edge(f"{stream}_answer", "readout"),
        ]  # fmt: skip
    if arm == "point":
        nodes = {name: module for name, module in nodes.items() if "_to_" not in name}
    return Net(nodes, edges, inputs=("eye_seen", "ear_seen"))


@dataclass(frozen=True)
class Pairs:
    """Pictures ``(N, 784)``, levels of sound ``(M, 20, 40)``, both 0 to 1, and their digits."""

    pictures: Array
    digits: Array
    sounds: Array
    spoken: Array

    def drawn(
        self, count: int, noise: str, draw: np.random.Generator
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Pairs of one digit each, with noise: inputs ``(T, N, ...)`` and digits."""
        seen = draw.choice(len(self.pictures), count, replace=count > len(self.pictures))
        y = self.digits[seen]
        heard = np.empty(count, np.int64)
        for digit in range(10):
            of_digit = np.flatnonzero(self.spoken == digit)
            heard[y == digit] = draw.choice(of_digit, int((y == digit).sum()))
        eye, ear = NOISES[noise]
        picture = self.pictures[seen] + eye * draw.standard_normal((count, 784), np.float32)
        sound = self.sounds[heard] + ear * draw.standard_normal((count, STEPS, EAR.bands), np.float32)
        inputs = {
            "eye_seen": torch.from_numpy(picture.astype(np.float32)).expand(STEPS, count, 784),
            "ear_seen": torch.from_numpy(np.ascontiguousarray(sound.astype(np.float32).swapaxes(0, 1))),
        }
        return inputs, torch.from_numpy(y)


@cache
def prepared(data: str) -> dict[str, Pairs]:
    """The three splits."""
    found = {}
    sounds = {split: _sounds(data, split) for split in ("train", "test")}
    pictures = {split: catalog.load("mnist", data, split).arrays() for split in ("train", "test")}  # type: ignore[attr-defined]
    rows = {"train": slice(0, 50_000), "valid": slice(50_000, 60_000), "test": slice(0, 10_000)}
    for name, chosen in rows.items():
        split = "test" if name == "test" else "train"
        x, y = pictures[split]
        levels, spoken, numbers = sounds[split]
        heard = {"train": numbers < 45, "valid": numbers >= 45, "test": numbers < 5}[name]
        flat = (x[chosen].reshape(-1, 784) / 255).astype(np.float32)
        found[name] = Pairs(flat, y[chosen].astype(np.int64), levels[heard], spoken[heard])
    return found


def _sounds(data: str, split: str) -> tuple[Array, Array, Array]:
    part = catalog.load("spoken_digits", data, split, True)
    assert isinstance(part, SpokenDigits)
    levels = np.stack([EAR.levels(part.audio(i)) for i in range(len(part))]) / EAR.depth
    numbers = np.array([number(part.locate(i)) for i in range(len(part))])
    return levels.astype(np.float32), part.labels, numbers


def trained(run: Run, data: str) -> dict[str, Any]:
    """Train one arm, keep the epoch of the best validation, test it whole and damaged."""
    torch.set_num_threads(1)
    pairs, begin = prepared(data), time.perf_counter()
    torch.manual_seed(run.seed)
    draw = np.random.default_rng([run.seed, 1])
    net = network(run.arm)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    valid = pairs["valid"].drawn(VALID, run.noise, np.random.default_rng(2))
    best, kept = -1.0, {}
    for _ in range(EPOCHS):
        net.train()
        x, y = pairs["train"].drawn(TRAIN, run.noise, draw)
        for first in range(0, TRAIN, BATCH):
            logits = net({n: v[:, first : first + BATCH] for n, v in x.items()})[0][-1]
            loss = nn.functional.cross_entropy(3 * logits, y[first : first + BATCH])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        right = _measured(net, *valid)["accuracy"]
        if right > best:
            best, kept = right, {n: v.clone() for n, v in net.state_dict().items()}
    net.load_state_dict(kept)
    test = pairs["test"].drawn(TEST, run.noise, np.random.default_rng(3))
    found = {**asdict(run), "valid": best, **_measured(net, *test), **_damaged(net, test, run.seed)}
    return {
        **found,
        "parameters": sum(p.numel() for p in net.parameters()),
        "seconds": time.perf_counter() - begin,
    }


@torch.no_grad()
def _measured(net: Net, x: dict[str, torch.Tensor], y: torch.Tensor) -> dict[str, float]:
    net.eval()
    found, _ = net(x, record=("output", "eye", "ear"))
    right = float((found["output"][-1].argmax(1) == y).float().mean())
    return {"accuracy": right, "rate": float(torch.cat([found["eye"], found["ear"]], 2).mean())}


def _damaged(net: Net, test: Any, seed: int) -> dict[str, float]:
    """Accuracy with 30 % of the cells of one stream silent."""
    found = {}
    for stream in ("eye", "ear"):
        chosen = np.random.default_rng([seed, 4]).choice(CELLS, round(SILENCED * CELLS), replace=False)
        mask: Any = net.modules_by_name()[f"{stream}_mask"]
        mask.speaks[chosen] = 0
        found[f"without 30 % of the {stream}"] = _measured(net, *test)["accuracy"]
        mask.speaks[:] = 1
    return found


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and deviations over seeds, and what the trend says."""
    table = {}
    for noise, arm in product(NOISES, ARMS):
        rows = [r for r in runs if (r["noise"], r["arm"]) == (noise, arm)]
        keys = ("accuracy", "rate", "without 30 % of the eye", "without 30 % of the ear")
        if rows:
            table[f"{arm}, {noise}"] = {
                "seeds": len(rows),
                **{
                    k: [float(np.mean([r[k] for r in rows])), float(np.std([r[k] for r in rows]))]
                    for k in keys
                },
            }
    verdict = None
    if all(f"{arm}, heavy" in table for arm in ARMS):
        gate, point, additive = (table[f"{arm}, heavy"] for arm in ("gate", "point", "additive"))
        verdict = {
            "gate - point, points": 100 * (gate["accuracy"][0] - point["accuracy"][0]),
            "gate - additive, points": 100 * (gate["accuracy"][0] - additive["accuracy"][0]),
            "rate of gate / point": gate["rate"][0] / point["rate"][0],
        }
    return {"table": table, "heavy noise": verdict}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("SPIKEFLOW_DATA", ""))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "two_stream.json"
    runs = json.loads(path.read_text())["runs"] if path.is_file() else []
    there = {Run(r["arm"], r["noise"], r["seed"]) for r in runs}
    wanted = [Run(arm, noise, seed) for seed, noise, arm in product(args.seeds, ("heavy", "light"), ARMS)]
    with ProcessPoolExecutor(args.processes) as pool:
        missing = [run for run in wanted if run not in there]
        for found in pool.map(trained, missing, [args.data] * len(missing)):
            runs.append(found)
            print(json.dumps(found), flush=True)
            replace_file(path, (json.dumps({**summed(runs), "runs": runs}, indent=1).encode(),))
    print(json.dumps(summed(runs), indent=1))


if __name__ == "__main__":
    main()
