"""One time step: reached by training with 5, 4, 3, 2 and 1, each from the last, against training with 1 at once.

The epochs of both are equal in number, and so are network, recipe, splits and seeds. A third training, with all
epochs at the first number of steps, says what the steps are worth. Each is selected on validation, tested once.

python benchmarks/time_steps.py --out benchmarks/records/time_steps.json
python benchmarks/time_steps.py --set fashion_mnist --data DIR --epochs 40 --out FILE
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from record import Record

from spikeflow.flows.recipe_file import Data, Layers, Reduce, Task
from spikeflow.flows.train import train
from spikeflow.train.recipe import Optimiser, Recipe, Schedule

WAYS = ("direct", "reduced", "first")


def task(args: argparse.Namespace, way: str, seed: int) -> Task:
    """One training of the comparison."""
    steps = args.first if way == "first" else 1
    data = Data(args.set, args.data, steps=steps, batch_size=args.batch, limit=args.limit)
    layers = Layers(
        "conv", (args.hidden,), tuple(args.channels), batch_norm=True, learn=("decay", "threshold"),
        parameters={"decay": 0.5, "reset": "subtract"},
    )  # fmt: skip
    training = Recipe(args.epochs, seed, optimiser=Optimiser(rate=args.rate), schedule=Schedule("one_cycle"))
    training = replace(training, device=args.device)
    return Task(data, layers, training, Reduce(args.first if way == "reduced" else 0), f"{way}, seed {seed}")


def measured(args: argparse.Namespace, way: str, seed: int) -> dict[str, Any]:
    """Accuracies of a training, in seconds of this machine."""
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        found = train(task(args, way, seed), folder)
        rows = [path.read_text().splitlines()[1:] for path in sorted(Path(folder).rglob("metrics.csv"))]
    fitted = found.fitted
    assert fitted.valid is not None and fitted.test is not None
    return {
        "valid": fitted.valid.accuracy,
        "test": fitted.test.accuracy,
        "samples": fitted.test.samples,
        "epochs": sum(map(len, rows)),
        "engine_same": found.same,
        "seconds": round(time.perf_counter() - start, 1),
    }


def arguments() -> argparse.Namespace:
    """The settings, which the record holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", default="digits")
    parser.add_argument("--data", default="")
    parser.add_argument("--first", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def main() -> None:
    """Every way with every seed; a part that the record holds is not measured again."""
    args = arguments()
    settings = {k: v for k, v in vars(args).items() if k not in ("out", "data", "seeds")}
    record = Record(args.out, {**settings, "threads": torch.get_num_threads()})
    for seed in args.seeds:
        for way in WAYS:
            part = f"{way} {seed}"
            if part not in record:
                record.put(part, measured(args, way, seed))
            print(part, record[part], flush=True)


if __name__ == "__main__":
    main()
