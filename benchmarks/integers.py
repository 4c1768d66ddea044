"""What integers cost: networks on every chip that takes them, against the float spiking network on the same samples.

    python benchmarks/integers.py --out benchmarks/records/integers.json [--data DIR] [--long]

1. Trained networks (scikit-learn's digits; with --data, MNIST and Fashion-MNIST of that folder), with and without
   batch norm, and with 10 to 90 % of the hidden units dead: points of accuracy lost on test images. At most 1
   (T = 4: 2) is allowed.
2. Random networks, not trained, depth 1 to 5, width 8 to 512, and a convolution: the error of the logits, as a
   multiple of that of the float network with its weights (per neuron) and its inputs rounded to 8 bits. At most
   1.5 is allowed.

The record is written after every part; a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Record
from torch import nn

from spikeflow.convert import convert
from spikeflow.hw.chips.chip import load
from spikeflow.hw.integer.quantise import quantise
from spikeflow.hw.passes.adapt import adapt
from spikeflow.hw.passes.compose import compose
from spikeflow.hw.passes.retime import retime
from spikeflow.ir.nodes import Conv2d, Linear
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, classify

SETTINGS: dict[str, dict[str, Any]] = {
    "loihi2": {},
    "spinnaker2": {},
    "loihi1": {"reset": "zero", "coding": "rate"},  # it takes neither another reset nor currents
}
TIMES = (4, 16, 32, 256, 1024)
DEAD = (0.0, 0.1, 0.5, 0.9)
SHAPES = ((1, 8), (1, 512), (2, 8), (2, 64), (2, 512), (3, 16), (3, 256), (4, 32), (5, 8), (5, 128))
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Samples:
    """Training and test images, flat in [0, 1], and their labels."""

    x: np.ndarray
    y: np.ndarray
    test: np.ndarray
    labels: np.ndarray


def digits() -> Samples:
    """1,797 digits of 8 x 8."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    return Samples(x[:1000], y[:1000], x[1000:], y[1000:])


def pictures(folder: Path, count: int, images: int) -> Samples:
    """MNIST or Fashion-MNIST in the idx format: some training images, and the first test images."""

    def idx(name: str) -> np.ndarray:
        raw = gzip.decompress(next(folder.glob(f"{name}*.gz")).read_bytes())
        sizes = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sizes)

    def flat(x: np.ndarray) -> np.ndarray:
        return (x.reshape(len(x), -1) / 255).astype(np.float32)

    x, y, test, labels = (idx(n) for n in ("train-images", "train-labels", "t10k-images", "t10k-labels"))
    return Samples(
        flat(x[:count]), y[:count].astype(np.int64), flat(test[:images]), labels[:images].astype(np.int64)
    )


def trained(samples: Samples, hidden: tuple[int, ...], norm: bool, dead: float, epochs: int) -> nn.Sequential:
    """Dense layers with ReLU; the biases of a share of the hidden units are pushed down before training."""
    torch.manual_seed(0)
    widths = (samples.x.shape[1], *hidden)
    layers: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        linear, batch_norm = nn.Linear(a, b), nn.BatchNorm1d(b)
        with torch.no_grad():
            (batch_norm if norm else linear).bias[: round(dead * b)] -= 6.0
        layers += [linear, batch_norm, nn.ReLU()] if norm else [linear, nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(widths[-1], int(samples.y.max()) + 1))
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimiser.step()
    return net.eval()


def on_chip(network: Network, chip: str, x: np.ndarray) -> tuple[Network, Network]:
    """The float network as the chip runs it, and its integers."""
    table = load(chip)
    ready = replace(network, graph=retime(adapt(compose(network.graph), table), table))
    return ready, quantise(ready, table, x, RunOptions(threads=1)).network


def lost(net: nn.Module, samples: Samples, chip: str, steps: int) -> dict[str, Any]:
    """Accuracy in float and in integers."""
    network = convert(net, samples.x[-300:], steps=steps, **SETTINGS[chip]).network
    ready, fixed = on_chip(network, chip, samples.x[-300:])
    a, b = (classify(n, samples.test, RunOptions(threads=1)) for n in (ready, fixed))
    points = 100 * (a.accuracy(samples.labels) - b.accuracy(samples.labels))
    return {
        "images": len(samples.labels),
        "float": a.accuracy(samples.labels),
        "integers": b.accuracy(samples.labels),
        "points_lost": points,
        "alike": float((a.predictions() == b.predictions()).mean()),
        "holds": bool(points <= (2 if steps == 4 else 1)),
    }


def rounded(network: Network) -> Network:
    """The float network with the weights of each neuron or channel rounded to 8 bits."""
    nodes = {}
    for name, node in network.graph.nodes.items():
        if isinstance(node, Linear | Conv2d):
            weight = np.asarray(node.weight, np.float64)
            top = np.abs(weight).reshape(len(weight), -1).max(axis=1) / 127
            step = np.where(top > 0, top, 1.0).reshape(-1, *(1,) * (weight.ndim - 1))
            nodes[name] = replace(node, weight=(np.rint(weight / step) * step).astype(np.float32))
    return replace(network, graph=network.graph.with_nodes(nodes))


def logits(network: Network, x: np.ndarray) -> np.ndarray:
    """After the last step."""
    return classify(network, x, RunOptions(threads=1)).logits[-1].astype(np.float64)


def error(got: np.ndarray, right: np.ndarray) -> float:
    """Relative, at the scale that fits best: integers have a scale of their own."""
    scale = float((got * right).sum() / max(float((got * got).sum()), 1e-300))
    return float(np.abs(scale * got - right).sum() / np.abs(right).sum())


def ratio(net: nn.Module, shape: tuple[int, ...], chip: str, steps: int) -> dict[str, Any]:
    """The error of integers beside that of rounding weights and inputs alone."""
    rng = np.random.default_rng(1)
    x, test = rng.random((200, *shape)).astype(np.float32), rng.random((200, *shape)).astype(np.float32)
    ready, fixed = on_chip(convert(net, x, steps=steps, **SETTINGS[chip]).network, chip, x)
    right = logits(ready, test)
    step = float(x.max()) / 127
    plain = error(logits(rounded(ready), np.rint(test / step) * step), right)
    own = error(logits(fixed, test), right)
    return {"error": own, "error_of_rounding": plain, "ratio": own / plain}


def random_mlp(depth: int, width: int, seed: int) -> nn.Sequential:
    """`depth` hidden layers with ReLU, as torch draws them."""
    torch.manual_seed(seed)
    widths = [width] * (depth + 1) + [10]
    layers: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def random_conv(seed: int) -> nn.Sequential:
    """Two convolutions and a dense layer, as torch draws them."""
    torch.manual_seed(seed)
    layers = (nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 5 * 5, 10)).eval()


def all_trained(args: argparse.Namespace, record: Record) -> None:
    """Part 1."""
    sets = {"digits": (digits(), (64, 32), 15)}
    for name in ("MNIST", "FashionMNIST") if args.data else ():
        sets[name] = (pictures(args.data / name / "raw", args.training, args.images), (128, 64), 2)
    for name, (samples, hidden, epochs) in sets.items():
        for norm, dead in [
            (n, d) for n in (False, True) for d in (DEAD if name == "digits" or args.long else (0.0, 0.5))
        ]:
            parts = [(c, t) for c in SETTINGS for t in (TIMES if name == "digits" or args.long else (4, 32))]
            parts = [
                (c, t) for c, t in parts if f"{name}, norm {norm}, {dead:.0%} dead, {c}, T {t}" not in record
            ]
            net = trained(samples, hidden, norm, dead, epochs) if parts else nn.Sequential()
            for chip, steps in parts:
                part = f"{name}, norm {norm}, {dead:.0%} dead, {chip}, T {steps}"
                told(record, part, lost(net, samples, chip, steps))


def all_random(args: argparse.Namespace, record: Record) -> None:
    """Part 2; the ratio of a shape is the median over seeds."""
    steps = 32
    for chip in SETTINGS:
        for depth, width in SHAPES:
            part = f"random, depth {depth}, width {width}, {chip}, T {steps}"
            if part not in record:
                told(
                    record,
                    part,
                    _median([ratio(random_mlp(depth, width, s), (width,), chip, steps) for s in SEEDS]),
                )
        part = f"random convolutions, {chip}, T {steps}"
        if part not in record:
            told(record, part, _median([ratio(random_conv(s), (2, 12, 12), chip, steps) for s in SEEDS]))


def _median(found: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = [f["ratio"] for f in found]
    return {"seeds": found, "ratio": float(np.median(ratios)), "holds": bool(np.median(ratios) <= 1.5)}


def told(record: Record, part: str, value: dict[str, Any]) -> None:
    """Write a part and say it."""
    record.put(part, value)
    figure = (
        f"{value['points_lost']:+.2f} points" if "points_lost" in value else f"ratio {value['ratio']:.2f}"
    )
    print(f"{part}: {figure}{'' if value['holds'] else '   TOO MUCH'}", flush=True)


def main() -> int:
    """Measure all parts; 1 where one does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with MNIST/raw and FashionMNIST/raw")
    parser.add_argument("--training", type=int, default=8000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument(
        "--long", action="store_true", help="all T and all dead shares on MNIST and Fashion-MNIST, too"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    record = Record(args.out, {"training": args.training, "images": args.images})
    all_random(args, record)
    all_trained(args, record)
    return int(not all(part["holds"] for part in record.content["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
