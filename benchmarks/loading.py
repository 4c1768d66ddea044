"""Is an epoch bound by loading?  python benchmarks/loading.py --out benchmarks/records/loading.json [--only nmnist]

For each data set and number of workers three times of one epoch, interleaved, A B C A B C: batches only (nothing is
done with them), training only (all batches are in memory), training on batches as they are loaded. An epoch is bound
by loading where loading takes longer than training. Processor times of both, in one process, are kept as well: unlike
the others they hardly change where other programs run on the machine. The network is that of
`examples/train_lif.py`: forward, backward, and a step of Adam; torch has one thread, which here is as fast as two.

SPIKEFLOW_DATA names the folder of real data; without it synthetic twins are loaded, and the record says so. The peer,
tonic with torch's DataLoader, reads the same files in its own environment (`event_peers.sh`, with torch in it): its
batches are first compared with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers.loading import BATCH, DT_US, STEPS, digest
from record import Record

from spikeflow.datasets.encoded import Rate
from spikeflow.datasets.loading.loader import DataLoader, Loading
from spikeflow.datasets.sets.mnist import FashionMNIST
from spikeflow.datasets.sets.nmnist import NMNIST
from spikeflow.ir.binning import Binning

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv-event-peers" / "bin" / "python"
WORKERS = (0, 1, 2)
STEP_US = 1000  # of the encoder
Times = dict[str, float]


class Direct:
    """Images as constant currents ``(T, 784)``."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        image = self.images[i].reshape(-1).astype(np.float32) / 255
        return np.broadcast_to(image, (STEPS, image.size)), int(self.labels[i])


@dataclass(frozen=True, eq=False)
class Case:
    """What is loaded, and for which network.

    Parameters
    ----------
    shape : of a step as the network takes it.
    """

    name: str
    dataset: Any
    collating: Binning | None
    shape: tuple[int, ...]
    facts: dict[str, Any]


def nmnist(folder: str | None, samples: int) -> Case:
    """N-MNIST, 20 steps of 15 ms; all samples of a partial copy."""
    data = NMNIST(folder, partial=True) if folder else _twin("nmnist", samples)
    binning = Binning(DT_US, STEPS, start="zero")
    return Case("nmnist", data, binning, (2, 34, 34), data.facts())


def fashion_rate(folder: str | None, samples: int) -> Case:
    """Fashion-MNIST, rate-coded anew whenever a sample is read."""
    data = _fashion(folder, samples)
    binning = Binning(STEP_US, STEPS, start="zero", polarity=False)
    return Case("fashion_mnist rate", data, binning, (784,), data.facts())


def fashion_direct(folder: str | None, samples: int) -> Case:
    """Fashion-MNIST as constant currents."""
    data = _fashion(folder, samples)
    images = np.stack([data.image(i) for i in range(len(data))])
    return Case("fashion_mnist direct", Direct(images, data.labels), None, (784,), data.facts())


def _fashion(folder: str | None, samples: int) -> Any:
    encoder = Rate(STEPS, STEP_US)
    if folder is None:
        return _twin("fashion_mnist", samples, encoder=encoder)
    return FashionMNIST(folder, encoder=encoder).subset(range(samples), f"first {samples}")


def _twin(name: str, samples: int, **options: Any) -> Any:
    from spikeflow.datasets.synthetic import twin

    return twin(name, samples, **options)


CASES: dict[str, Callable[[str | None, int], Case]] = {
    "nmnist": nmnist,
    "fashion_mnist rate": fashion_rate,
    "fashion_mnist direct": fashion_direct,
}


class Training:
    """The network of the example, and its optimiser."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        sys.path.insert(0, str(HERE.parent / "examples"))
        from train_lif import network

        torch.manual_seed(0)
        self.shape, self.net = shape, network(shape)
        self.optimiser = torch.optim.Adam(self.net.parameters(), 4e-3)

    def step(self, x: torch.Tensor, labels: torch.Tensor) -> None:
        """Forward, backward, and a change of the weights."""
        self.optimiser.zero_grad()
        out, _ = self.net(x.reshape(*x.shape[:2], *self.shape))
        torch.nn.functional.cross_entropy(out[-1], labels).backward()
        self.optimiser.step()

    def epoch(self, batches: Iterator[Any]) -> Times:
        """Train on all; the time, and how much of it went by waiting for batches."""
        begun, worked, waited = time.perf_counter(), time.process_time(), 0.0
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            waited += time.perf_counter() - asked
            if batch is None:
                seconds, processor_s = time.perf_counter() - begun, time.process_time() - worked
                return {"seconds": seconds, "processor_s": processor_s, "waited": waited}
            self.step(batch.x, batch.labels)


def loaded(batches: Iterator[Any]) -> Times:
    """Seconds to get all batches and nothing else; processor time is that of this process alone."""
    begun, worked = time.perf_counter(), time.process_time()
    for _ in batches:
        pass
    return {"seconds": time.perf_counter() - begun, "processor_s": time.process_time() - worked}


def measure(case: Case, passes: int) -> dict[str, Any]:
    """All times of one case; the first epoch of every loader, which starts its workers, apart."""
    training = Training(case.shape)
    loaders = {w: DataLoader(case.dataset, Loading(BATCH, workers=w), case.collating) for w in WORKERS}
    memory = list(loaders[0].epoch(0))
    first = {w: loaded(loader.epoch(0)) for w, loader in loaders.items()}
    training.epoch(iter(memory[:3]))
    alone: list[Times] = []
    only: dict[int, list[Times]] = {w: [] for w in WORKERS}
    both: dict[int, list[Times]] = {w: [] for w in WORKERS}
    for turn in range(passes):
        alone.append(training.epoch(iter(memory)))
        for w, loader in loaders.items():
            only[w].append(loaded(loader.epoch(turn)))
            both[w].append(training.epoch(loader.epoch(turn)))
    for loader in loaders.values():
        loader.close()
    return {
        "data": case.facts,
        "samples": len(case.dataset),
        "batch": BATCH,
        "steps": STEPS,
        "training_s": _median(alone),
        "training_processor_s": _median(alone, "processor_s"),
        "loading_processor_s": _median(only[0], "processor_s"),
        "passes": {"training": alone},
        "workers": {
            str(w): {
                "first_epoch_s": first[w]["seconds"],
                "loading_s": _median(only[w]),
                "samples_a_second": len(case.dataset) / _median(only[w]),
                "loading_over_training": _median(only[w]) / _median(alone),
                "epoch_over_training": _median(both[w]) / _median(alone),
                "waited_share": statistics.median(one["waited"] / one["seconds"] for one in both[w]),
                "passes": {"loading": only[w], "epoch": both[w]},
            }
            for w in WORKERS
        },
    }


def _median(times: list[Times], what: str = "seconds") -> float:
    return statistics.median(one[what] for one in times)


def against_tonic(case: Case, python: str, passes: int) -> dict[str, Any]:
    """The peer on the same files, after a comparison of all batches."""
    files = [str(case.dataset.path(i)) for i in range(len(case.dataset))]
    command = [python, str(HERE / "peers" / "loading.py"), str(passes)]
    told = json.dumps({"files": files, "labels": case.dataset.labels.tolist()})
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, timeout=280)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "died"}
    found = json.loads(done.stdout.splitlines()[-1])
    ours = DataLoader(case.dataset, Loading(BATCH, shuffle=False), case.collating).epoch(0)
    found["equal"] = found.pop("digest") == digest((batch.x, batch.labels) for batch in ours)
    return found


def main() -> None:
    """Every case that is asked for, each into the record as soon as it is done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="loading.json")
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--samples", type=int, default=3000, help="of Fashion-MNIST, or of a twin")
    parser.add_argument("--peers", default=str(PEER_PYTHON), help="the Python that has tonic and torch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # a partial copy says so; the record has its facts
    folder = os.environ.get("SPIKEFLOW_DATA")
    settings = {
        "kind": "loading",
        "passes": args.passes,
        "samples": args.samples,
        "threads": 1,
        "real": bool(folder),
    }
    record = Record(args.out, settings)
    for name, make in CASES.items():
        if not name.startswith(args.only) or name in record:
            continue
        case = make(folder, args.samples)
        result = measure(case, args.passes)
        if name == "nmnist" and folder and Path(args.peers).exists():
            result["tonic"] = against_tonic(case, args.peers, args.passes)
        record.put(name, result)
        share = result["loading_processor_s"] / result["training_processor_s"]
        print(f"{name}: processor time of loading over that of training {share:.3g}")
        for w, part in result["workers"].items():
            numbers = ("samples_a_second", "loading_over_training", "epoch_over_training", "waited_share")
            words = ", ".join(f"{key} {part[key]:.3g}" for key in numbers)
            print(f"{name}, {w} workers: {words}", flush=True)


if __name__ == "__main__":
    main()
