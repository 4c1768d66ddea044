"""Conversion: networks that others trained, by alphabet, method and steps; other converters; chips.

    python benchmarks/conversion.py --data DIR --out benchmarks/records/conversion.json
    python benchmarks/report.py benchmarks/records/conversion.json   # the page of docs/results.md

DIR is the data folder (README.md there). Thresholds, corrections and choices are made on images without their labels;
test images set nothing (`given.py` says which are which). A row is one conversion and one run of all its steps, read
after each power of two; a row of ``auto`` is made for its steps and read after these alone. Nothing is drawn at random.
The cheapest parts come first, each is written as soon as it is measured, and a run that was cut off goes on where it
stopped. `--alphabets` runs the rows of some alphabets alone, into a record of their own. `--peers` names a folder of packages (`pip install --no-deps --target` of spikingjelly, sinabs, nir, nirtorch, loguru, tqdm,
requests and its own); what cannot be imported is an error of its part.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from given import NETWORKS, Given, Images
from paired import ceiling
from peers.converters import RECIPES, Task
from record import Record

from spikeflow.convert import Conversion, convert, pipeline
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import HardwareError, LossError, SpikeflowError, SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.ir.nodes import Population
from spikeflow.sim.classify import RunOptions, classify

TIMES = (1, 2, 4, 8, 16, 32, 64, 128)
CHIPS = ("loihi2", "spinnaker2")
ROUNDS = 3  # of conversions that are timed beside each other
CEILING = "levels of the ANN"


@dataclass(frozen=True)
class Row:
    """A conversion: for `steps`, and read after the powers of two up to these, or after these alone."""

    alphabet: str
    method: str
    steps: int
    alone: bool = False

    @property
    def name(self) -> str:
        """As a part of the record."""
        return f"{self.alphabet}, {self.method}, {'at' if self.alone else 'up to'} {self.steps} steps"

    @property
    def times(self) -> tuple[int, ...]:
        """When answers are read."""
        return (self.steps,) if self.alone else tuple(t for t in TIMES if t <= self.steps)


SMALL = (
    Row("binary", "percentile", 64),
    *(Row("binary", "auto", t, True) for t in (16, 32)),
    Row("multi-threshold:3", "percentile", 16),
    Row("signed", "percentile", 32),
    Row("burst:4", "percentile", 16),
    *(Row("binary", "auto", t, True) for t in (8, 64, 128)),
    Row("binary", "percentile", 128),
    Row("differential:3", "percentile-for-steps", 16),
)
RESIDUAL = (
    *(Row("binary", "auto", t, True) for t in (16, 32)),
    Row("multi-threshold:3", "percentile", 8),
    Row("burst:4", "percentile", 16),
    Row("binary", "percentile", 64),
    Row("signed", "percentile", 32),
    *(Row("binary", "auto", t, True) for t in (8, 64, 128)),
    Row("binary", "percentile", 128),
    Row("differential:3", "percentile-for-steps", 32),
    Row("multi-threshold:3", "percentile", 32),
)
LARGE = (
    Row("multi-threshold:3", "percentile", 32),
    Row("binary", "percentile", 64),
    Row("differential:3", "percentile-for-steps", 64),
    Row("differential:3", "percentile", 32),
    Row("burst:7", "auto", 32, True),
    *(Row("differential:3", "auto", t, True) for t in (16, 32, 64)),
)
ROWS = {
    **dict.fromkeys(("lenet", "lenet5", "no-bias", "ds-cnn"), SMALL),
    "resnet20": RESIDUAL,
    "resnet32": RESIDUAL[:6],
    "mobilenet": LARGE,
    "squeezenet": (LARGE[0], Row("differential:3", "auto", 32, True)),
}
# test images and steps of the comparison with other converters, which run in torch
COMPARED = {"lenet": (500, 32), "no-bias": (500, 32), "ds-cnn": (500, 64), "resnet20": (200, 32)}
MAPPED = dict.fromkeys(ROWS, ("binary", "signed", "burst:4", "multi-threshold:3"))
MAPPED |= dict.fromkeys(("resnet20", "resnet32", "mobilenet", "squeezenet"), ("binary",))


@dataclass(eq=False)
class Study:
    """One network, its images, and its answers as an ANN."""

    name: str
    data: Path
    images_asked: int

    @property
    def given(self) -> Given:
        """The network."""
        return NETWORKS[self.name]

    @cached_property
    def images(self) -> Images:
        """Calibration and test."""
        return self.given.images(self.data, self.images_asked or self.given.tested)

    @property
    def y(self) -> np.ndarray:
        """Classes as the network numbers them: the MobileNet's first output is none of ImageNet's classes."""
        return self.images.y + (self.name == "mobilenet")

    def converted(self, row: Row) -> Conversion:
        """The network converted."""
        options: dict[str, Any] = {"arch": self.given.arch} if self.given.arch else {}
        return convert(
            self.given.opened(self.data),
            self.images.calibration,
            steps=row.steps,
            method=row.method,
            alphabet=row.alphabet,
            **options,
        )

    def answers(self, conversion: Conversion) -> np.ndarray:
        """Of the ANN."""
        parts = np.array_split(self.images.x, max(1, len(self.images.x) // 50))
        return np.concatenate([forward(conversion.ann, x) for x in parts]).argmax(1)


def measured(study: Study, row: Row) -> dict[str, Any]:
    """Accuracies after the row's steps, and what the conversion and an image took."""
    begun = time.process_time()
    conversion = study.converted(row)
    made = time.process_time()
    x, y, ann = study.images.x, study.y, study.answers(conversion)
    graph, begin = conversion.network.graph, time.process_time()
    run = classify(conversion.network, x, RunOptions(threads=1, kept=row.times))
    cpu = time.process_time() - begin
    found = {t: run.predictions(t) for t in row.times}
    return {
        "images": len(x),
        "calibration": len(study.images.calibration),
        "ann": float((ann == y).mean()),
        "snn": {t: float((p == y).mean()) for t, p in found.items()},
        "alike": {t: float((p == ann).mean()) for t, p in found.items()},
        "right": {t: _bits(p == y) for t, p in found.items()},
        "convert_cpu_s": made - begun,
        "cpu_ms_an_image": 1000 * cpu / len(x),
        "operations_an_image": run.synaptic_operations / len(x),
        "neurons": sum(int(np.prod(graph.shapes[n])) for n in graph.of_kind(Population)),
        "read_from": conversion.network.record.read_from,
    }


def _bits(right: np.ndarray) -> str:
    """Which images were answered right, for comparisons later."""
    return "".join("1" if r else "0" for r in right)


def levels(study: Study) -> dict[str, Any]:
    """The ceiling of binary spikes in T steps, thresholds at the percentile that is taken for T."""
    x, y = study.images.x, study.y
    found: dict[int, dict[str, float]] = {}
    for steps in TIMES:
        conversion = study.converted(Row("binary", "percentile-for-steps", steps))
        ann, answers = study.answers(conversion), ceiling(conversion, steps, x)
        found[steps] = {"accuracy": float((answers == y).mean()), "alike": float((answers == ann).mean())}
    return {"images": len(x), "steps": found}


def other(study: Study, name: str) -> dict[str, Any]:
    """What another converter answers on the first test images."""
    images, steps = COMPARED[study.name]
    assert study.given.module is not None
    function, recipe = RECIPES[name]
    x, calibration = (_pictures(p) for p in (study.images.x[:images], study.images.calibration))
    answered = function(Task(study.given.module(study.data), calibration, x, steps), recipe)
    y = study.y[:images]
    found = {t: answered.predictions(t) == y for t in TIMES if t <= steps}
    return {
        "images": len(x),
        "calibration": len(calibration),
        "snn": {t: float(right.mean()) for t, right in found.items()},
        "right": {t: _bits(right) for t, right in found.items()},
        "convert_cpu_s": answered.convert_cpu_s,
        "cpu_ms_an_image": 1000 * answered.run_cpu_s / len(x),
    }


def seconds(study: Study) -> dict[str, Any]:
    """What a conversion takes: ours by the default method and by its steps alone (before it is run on held-back
    images), and the other converters', one after the other, `ROUNDS` times; medians of processor seconds.
    """
    assert study.given.module is not None
    row, found = Row("binary", "percentile", 16), dict[str, list[float]]()
    with patch.object(pipeline, "verify", _timed(pipeline.verify, found.setdefault("ours, held-back run", []))):
        for _ in range(ROUNDS):
            begun = time.process_time()
            study.converted(row)
            found.setdefault("ours", []).append(time.process_time() - begun)
            for name, (function, recipe) in RECIPES.items():
                x, calibration = (_pictures(p) for p in (study.images.x[:1], study.images.calibration))
                task = Task(study.given.module(study.data), calibration, x, 1)
                found.setdefault(name, []).append(function(task, recipe).convert_cpu_s)
    return {"rounds": ROUNDS, "convert_cpu_s": {name: median(taken) for name, taken in found.items()}}


def _timed(function: Callable[..., Any], taken: list[float]) -> Callable[..., Any]:
    """The function, which notes its processor seconds."""

    def called(*arguments: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*arguments)
        finally:
            taken.append(time.process_time() - begun)

    return called


def _pictures(x: np.ndarray) -> np.ndarray:
    """As torch modules take them: with an axis of channels."""
    return x if x.ndim == 4 else x[:, None]


def mapped(study: Study, alphabet: str, chip: str) -> dict[str, Any]:
    """Cores, chips and agreement on a chip, or the reason why not."""
    conversion = study.converted(Row(alphabet, "percentile", 32))
    samples = study.images.calibration[:64]
    begun = time.process_time()
    try:
        mapping = map_network(conversion.network, chip, samples, chips=1024, accept_loss=True)
    except (HardwareError, LossError) as refusal:
        return {"refused": str(refusal), "cpu_s": time.process_time() - begun}
    assert mapping.loss is not None
    worst = mapping.loss.fidelity.worst
    return {
        "cores": mapping.cores_used,
        "chips": mapping.chips,
        "agreement": None if worst is None else worst.agreement,
        "samples": mapping.loss.fidelity.samples,
        "cpu_s": time.process_time() - begun,
    }


def parts(study: Study, alphabets: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every part of a network by its name, with what measures it, the cheapest first; of some alphabets their
    rows alone.
    """
    rows = ROWS[study.name]
    if alphabets:
        for row in (row for row in rows if row.alphabet in alphabets):
            yield f"{study.name}: {row.name}", lambda row=row: measured(study, row)
        return
    for row in rows[:4]:
        yield f"{study.name}: {row.name}", lambda row=row: measured(study, row)
    for name in RECIPES if study.name in COMPARED else ():
        yield f"{study.name}: {name}", lambda name=name: other(study, name)
    if study.name in COMPARED:
        yield f"{study.name}: seconds to convert", lambda: seconds(study)
    for alphabet in MAPPED[study.name]:
        for chip in CHIPS:
            part = f"{study.name}: {alphabet} on {chip}"
            yield part, lambda alphabet=alphabet, chip=chip: mapped(study, alphabet, chip)
    for row in rows[4:]:
        yield f"{study.name}: {row.name}", lambda row=row: measured(study, row)
    yield f"{study.name}: {CEILING}", lambda: levels(study)


def main() -> None:
    """Every part that the record does not hold yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", default="benchmarks/records/conversion.json")
    parser.add_argument("--networks", default=",".join(ROWS), help="with commas; default: all of them")
    parser.add_argument("--images", type=int, default=0, help="test images; default: as given.py says")
    parser.add_argument("--alphabets", default="", help="with commas: rows of these alone, no other parts")
    parser.add_argument("--peers", default="", help="folder of the other converters' packages")
    parser.add_argument("--keep", action="store_true", help="keep what another commit measured, and go on")
    parser.add_argument("--until", default="", help="start no part after this time of day, such as 23:05")
    args = parser.parse_args()
    warnings.simplefilter("ignore", SpikeflowWarning)  # the figures say it
    torch.set_num_threads(1)
    # what torch loads for the first trace of a process is no conversion's, as no import of the others is
    convert(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()), np.ones((8, 2), np.float32), steps=1)
    sys.path.append(args.peers)
    record = Record(args.out, {"kind": "conversion", "images": args.images}, args.keep)
    for name in args.networks.split(","):
        alphabets = tuple(filter(None, args.alphabets.split(",")))
        for part, measure in parts(Study(name, args.data, args.images), alphabets):
            if part in record:
                continue
            if args.until and time.strftime("%H:%M") >= args.until:
                print(f"{args.until}: stopped before {part}", file=sys.stderr)
                return
            try:
                record.put(part, measure())
            except (ImportError, SpikeflowError) as error:
                # told in the record: a network that is refused is a result too
                record.put(part, {"error": f"{type(error).__name__}: {error}"})
            print(part, {k: v for k, v in record[part].items() if k != "right"}, flush=True)


if __name__ == "__main__":
    main()
