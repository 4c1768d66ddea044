"""The result table for the pretrained CIFAR-10 ResNet-20: ANN, SNN over T, and the integer networks as mapped.

    python benchmarks/resnet.py --data DIR --images 1000 --out benchmarks/records/resnet20.json

DIR is the data folder (README.md there). Thresholds and formats are chosen on training images only. The record is
written after every part; a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cifar
import numpy as np
from record import Record

from spikeflow.convert import Conversion, convert
from spikeflow.errors import HardwareError
from spikeflow.hw import map_network
from spikeflow.hw.tables.mapping import Mapping
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import Network
from spikeflow.sim.classify import RunOptions, classify

TIMES = (16, 32, 64, 128, 256)
MAPPED_TIMES = (16, 32, 64)  # a mapped run takes a second an image at 64 steps
CHIPS = ("loihi2", "spinnaker2")
PARTS = ("ann", "snn", *CHIPS, "loihi1")


@dataclass(eq=False)
class Study:
    """What is needed for any part, made when a part first asks for it."""

    args: argparse.Namespace
    record: Record

    @cached_property
    def training(self) -> cifar.Pictures:
        """Calibration images."""
        return cifar.load(self.args.data, "train", self.args.calibration)

    @cached_property
    def test(self) -> cifar.Pictures:
        """Test images, which nothing is chosen on."""
        return cifar.load(self.args.data, "test", self.args.images)

    @cached_property
    def conversion(self) -> Conversion:
        """The converted network."""
        checkpoint = next((self.args.data / "pretrained" / "cifar10_resnet").glob("resnet20-*.th"))
        return convert(
            checkpoint,
            self.training.x,
            self.training.y,
            arch="architectures:resnet20",
            steps=max(self.args.times),
        )

    def mapping(self, chip: str, chips: int) -> Mapping:
        """The network on a chip."""
        return map_network(
            self.conversion.network,
            chip,
            self.training.x,
            chips=chips,
            seed=0,
            steps=max(self.args.mapped_times),
        )


def ann(study: Study) -> dict[str, Any]:
    """Accuracy of the ANN on the test images, and what its conversion reported."""
    from spikeflow.convert.passes.forward import forward

    begun = time.perf_counter()
    conversion = study.conversion
    seconds = time.perf_counter() - begun
    batches = np.array_split(study.test.x, max(1, len(study.test.x) // 100))
    logits = np.concatenate([forward(conversion.ann, x) for x in batches])
    graph = conversion.network.graph
    neurons = sum(int(np.prod(graph.shapes[n])) for n in graph.of_kind(Population))
    return {
        "test_accuracy": float((logits.argmax(1) == study.test.y).mean()),
        "convert_s": seconds,
        "neurons": neurons,
        "digest": graph.digest,
        "report": conversion.report.to_json(),
    }


def run(study: Study, name: str, network: Network, times: tuple[int, ...]) -> None:
    """Run all test images, some at a time, each batch a part; then their sum as the part `name`."""
    size, x, y = study.args.batch, study.test.x, study.test.y
    parts = []
    for first in range(0, len(x), size):
        part = f"{name}, images from {first}"
        if part not in study.record:
            _say(part)
            study.record.put(
                part, _batch(study, network, x[first : first + size], y[first : first + size], times)
            )
        parts.append(study.record[part])
    study.record.put(name, _sum(parts))


def _batch(
    study: Study, network: Network, x: np.ndarray, y: np.ndarray, times: tuple[int, ...]
) -> dict[str, Any]:
    options = RunOptions(
        engine=study.args.engine,
        threads=study.args.threads,
        batch=study.args.batch,
        steps=max(times),
    )
    evaluation = classify(network, x, options)
    right = {t: int((evaluation.predictions(t) == y).sum()) for t in times}
    return {
        "images": len(x),
        "right": right,
        "seconds": evaluation.seconds,
        "operations": evaluation.synaptic_operations,
        "spikes": sum(c.spikes for c in evaluation.counts.values()),
        "narrowed": sum(sum(c.narrowed.values()) for c in evaluation.counts.values()),
    }


def _sum(parts: list[dict[str, Any]]) -> dict[str, Any]:
    images = sum(p["images"] for p in parts)
    # keys of a part read back from the file are text
    totals = [{str(t): n for t, n in p["right"].items()} for p in parts]
    return {
        "images": images,
        "accuracy": {t: sum(right[t] for right in totals) / images for t in totals[0]},
        "seconds": sum(p["seconds"] for p in parts),
        "narrowed": sum(p["narrowed"] for p in parts),
        "operations_per_image": sum(p["operations"] for p in parts) / images,
        "spikes_per_image": sum(p["spikes"] for p in parts) / images,
    }


def mapped(study: Study, chip: str) -> None:
    """Map onto a chip, and run as mapped; or the chip's refusal."""
    if f"{chip} run" in study.record:
        return
    _say(f"mapping onto {chip}")
    begun = time.perf_counter()
    try:
        mapping = study.mapping(chip, study.args.chips)
    except HardwareError as refusal:
        study.record.put(f"{chip} map", {"refusal": str(refusal), "seconds": time.perf_counter() - begun})
        return
    study.record.put(
        f"{chip} map",
        {
            "seconds": time.perf_counter() - begun,
            "cores": mapping.cores_used,
            "chips": mapping.chips,
            "neurons": mapping.neurons,
            "synapse_words": mapping.synapses,
        },
    )
    run(study, f"{chip} run", mapping.as_network(), study.args.mapped_times)


def refused(study: Study, chip: str) -> None:
    """The text of a refusal, with one chip."""
    try:
        mapping = study.mapping(chip, 1)
    except HardwareError as refusal:
        study.record.put(f"{chip} map", {"refusal": str(refusal)})
    else:
        study.record.put(f"{chip} map", {"cores": mapping.cores_used, "chips": mapping.chips})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _times(text: str) -> tuple[int, ...]:
    return tuple(int(t) for t in text.split(","))


def main() -> None:
    """Every part that the record does not hold yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SPIKEFLOW_DATA"), help="default: $SPIKEFLOW_DATA"
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--calibration", type=int, default=500)
    parser.add_argument(
        "--times", type=_times, default=TIMES, help="steps at which answers are read, with commas"
    )
    parser.add_argument(
        "--mapped-times", type=_times, default=MAPPED_TIMES, help="the same for the mapped networks"
    )
    parser.add_argument(
        "--parts",
        type=lambda text: tuple(text.split(",")),
        default=PARTS,
        help="with commas; default: all of them",
    )
    parser.add_argument("--batch", type=int, default=50, help="images in one part")
    parser.add_argument("--chips", type=int, default=64, help="the most chips that a mapping may use")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--engine", default="cpp", choices=("cpp", "reference"))
    parser.add_argument("--out", default="resnet20.json")
    args = parser.parse_args()
    if not args.data:
        raise SystemExit("--data or SPIKEFLOW_DATA names the data folder")
    settings = {k: v for k, v in vars(args).items() if k not in ("data", "out", "threads")}
    study = Study(args, Record(args.out, {"kind": "resnet", **settings}))
    if "ann" in args.parts and "ann" not in study.record:
        study.record.put("ann", ann(study))
    if "snn" in args.parts and "snn run" not in study.record:
        run(study, "snn run", study.conversion.network, study.args.times)
    for chip in CHIPS:
        if chip in args.parts:
            mapped(study, chip)
    if "loihi1" in args.parts and "loihi1 map" not in study.record:
        refused(study, "loihi1")


if __name__ == "__main__":
    main()
