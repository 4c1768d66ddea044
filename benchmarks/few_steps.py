"""Few steps: the pretrained ResNet-20 on CIFAR-10, converted by methods and alphabets, at each number of steps.

    python benchmarks/few_steps.py --data DIR --images 1000 --out benchmarks/records/few_steps.json

DIR is the data folder (README.md there). Thresholds, corrections and choices are made on training images without their
labels; test images are looked at once a row. Each row is a conversion for its own steps. A run that was cut off goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import cifar
import numpy as np
from record import Record

from spikeflow.convert import convert
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import SpikeflowWarning
from spikeflow.ir.interval import of_samples
from spikeflow.sim.classify import RunOptions, classify

# alphabet, method, steps
ROWS = (
    ("binary", "auto", 32),
    ("binary", "auto", 16),
    ("signed", "percentile", 8),
    ("multi-threshold:3", "percentile", 8),
    ("multi-threshold:3", "percentile", 4),
    ("signed", "percentile", 32),
    ("multi-threshold:3", "percentile", 32),
    ("burst:4", "percentile", 8),
    ("binary", "percentile", 16),
    ("binary", "percentile", 32),
    ("binary", "auto", 128),
)


def measured(args: argparse.Namespace, alphabet: str, method: str, steps: int) -> dict[str, Any]:
    """Accuracies on the test images, and what the conversion and an image took."""
    training = cifar.load(args.data, "train", args.calibration)
    checkpoint = next((args.data / "pretrained" / "cifar10_resnet").glob(f"{args.net}-*.th"))
    start = time.process_time()
    conversion = convert(
        checkpoint, training.x, arch=f"architectures:{args.net}", steps=steps, method=method, alphabet=alphabet
    )
    converted = time.process_time()
    test = cifar.load(args.data, "test", args.images)
    parts = np.array_split(test.x, max(1, len(test.x) // 100))
    ann = np.concatenate([forward(conversion.ann, x) for x in parts]).argmax(1)
    run = classify(conversion.network, test.x, RunOptions(threads=1))
    answers = run.predictions()
    return {
        "images": len(test.x),
        "ann": float((ann == test.y).mean()),
        "snn": float((answers == test.y).mean()),
        "alike": float((answers == ann).mean()),
        "convert_cpu_s": round(converted - start, 1),
        "ms_an_image": round(1000 * run.seconds / len(test.x), 2),
        "operations_an_image": round(run.synaptic_operations / len(test.x)),
        "read_from": conversion.network.record.read_from,
    }


def main() -> None:
    """Each row a part of the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--net", choices=("resnet20", "resnet32"), default="resnet20")
    parser.add_argument("--calibration", type=int, default=512)
    parser.add_argument("--images", type=int, default=1000)
    args = parser.parse_args()
    warnings.simplefilter("ignore", SpikeflowWarning)  # the figures say it
    record = Record(args.out, {"net": args.net, "calibration": args.calibration, "images": args.images})
    for row in ROWS:
        part = "{}, {}, {} steps".format(*row)
        if part not in record:
            record.put(part, measured(args, *row))
        found = record[part]
        print(part, {name: of_samples(found[name], found["images"]) for name in ("ann", "snn", "alike")}, flush=True)


if __name__ == "__main__":
    main()
