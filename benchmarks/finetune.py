"""Fine-tuning at few steps: the pretrained ResNet-20 on CIFAR-10, converted, then trained on with its ANN as teacher.

    python benchmarks/finetune.py --data DIR --steps 4 --out benchmarks/records/finetune.json

DIR is the data folder (README.md there). Calibration, training and the selection of an epoch take training images
without their labels; test images are looked at once, at the end. Epochs are checkpoints: a run that was cut off goes
on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cifar
import numpy as np
import torch
from record import Record

from spikeflow.convert import convert
from spikeflow.convert.passes.forward import forward
from spikeflow.flows.finetune import Finetune, finetune
from spikeflow.ir.interval import of_samples
from spikeflow.ir.record import Network
from spikeflow.sim.classify import classify
from spikeflow.train.augment import Augment
from spikeflow.train.loop import Session

AT_ONCE = 500


def measured(args: argparse.Namespace, steps: int) -> dict[str, Any]:
    """Accuracies on the test images before and after, and what it took."""
    training = cifar.load(args.data, "train", args.samples)
    checkpoint = next((args.data / "pretrained" / "cifar10_resnet").glob(f"{args.net}-*.th"))
    start = time.perf_counter()
    conversion = convert(
        checkpoint, training.x, arch=f"architectures:{args.net}", steps=steps, percentile=args.percentile
    )
    converted = time.perf_counter()
    made, rounds = conversion, []
    for index, epochs in enumerate(args.epochs):
        rate, gradient = _of(args.rate, index), _of(args.gradient, index)
        options = Finetune(epochs, rate, args.batch, args.seed, augment=Augment(4, True), gradient=gradient)
        words = f"_{index + 1}_{gradient}_{rate:g}" if index else ""
        folder = args.checkpoints / f"{args.net}_{steps}{words}"
        session = Session(folder, resume=True, tell=lambda row: print(row.to_text(), flush=True))
        found = finetune(made, training.x, options=options, session=session, forecast=_forecast)
        made = found.conversion
        rounds.append(found.to_json())
    trained = time.perf_counter()
    test = cifar.load(args.data, "test", args.images)
    parts = np.array_split(test.x, max(1, len(test.x) // AT_ONCE))
    ann = np.concatenate([forward(conversion.ann, x) for x in parts]).argmax(1)
    return {
        "images": len(test.x),
        "ann": float((ann == test.y).mean()),
        "before": _right(conversion.network, test),
        "after": _right(made.network, test),
        "rounds": rounds,
        "convert_s": round(converted - start, 1),
        "finetune_s_of_this_sitting": round(trained - converted, 1),
        "alphabet": "binary",
    }


def _of(values: list[Any], index: int) -> Any:
    """That of a round; the last where there are fewer."""
    return values[min(index, len(values) - 1)]


def _forecast(seconds: float) -> None:
    print(f"about {seconds / 60:.1f} min from the first epoch on", flush=True)


def _right(network: Network, test: cifar.Pictures) -> float:
    return float((classify(network, test.x).predictions() == test.y).mean())


def main() -> None:
    """Each number of steps a part of the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--net", choices=("resnet20", "resnet32"), default="resnet20")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--samples", type=int, default=20000)
    parser.add_argument("--images", type=int, default=9886)
    # one for every round, which begins with what the one before gave
    parser.add_argument("--epochs", type=int, nargs="+", default=[10])
    parser.add_argument("--rate", type=float, nargs="+", default=[1e-3])
    parser.add_argument("--gradient", choices=("rates", "steps"), nargs="+", default=["rates"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--percentile", type=float, default=97.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoints", type=Path, default=Path("build/finetune"))
    args = parser.parse_args()
    apart = ("data", "out", "checkpoints", "steps")
    settings = {k: v for k, v in vars(args).items() if k not in apart}
    record = Record(args.out, {**settings, "threads": torch.get_num_threads()})
    for steps in args.steps:
        part = f"{args.net}, {steps} steps"
        if part not in record:
            record.put(part, measured(args, steps))
        row = record[part]
        print(part, {name: of_samples(row[name], row["images"]) for name in ("ann", "before", "after")})


if __name__ == "__main__":
    main()
