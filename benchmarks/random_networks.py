"""60 random networks over every operation that needs no option: how many convert, and how far their answers lie.

    python benchmarks/random_networks.py [--first 0] [--count 60] [--alphabet binary] [--out benchmarks/records/random_networks.json]

Network k is drawn from seed k by ``tests/convert/random_networks.py`` and converted with 512 calibration samples of
the test distribution, default options, T = 256; the error is |snn - ann|_1 / |ann|_1 over 64 other samples. What is
refused stands in the record with its reason, and counts as an error of 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Record

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spikeflow.convert import convert
from spikeflow.errors import SpikeflowError
from spikeflow.sim.classify import evaluate
from tests.convert.random_networks import network, samples

CALIBRATION, TESTED, STEPS = 512, 64, 256


def measured(seed: int, alphabet: str) -> dict[str, Any]:
    """One network: its shape and steps, error, seconds; or why it was refused."""
    net, shape = network(seed)
    found: dict[str, Any] = {"shape": shape, "steps": net.words}
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = convert(net, samples(seed, shape, CALIBRATION), steps=STEPS, alphabet=alphabet)
    except SpikeflowError as error:
        return {**found, "error": 1.0, "refused": str(error)}
    found["convert_s"] = time.perf_counter() - begun
    x = samples(seed + 10**6, shape, TESTED)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x)).numpy()
    got = evaluate(made.network, x).accumulated() / STEPS
    return {**found, "error": float(np.abs(got - wanted).sum() / np.abs(wanted).sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--alphabet", default="binary", help="of every network; a record holds one")
    parser.add_argument("--out", default="benchmarks/records/random_networks.json")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.count)
    how = {"calibration": CALIBRATION, "tested": TESTED, "steps": STEPS}
    record = Record(args.out, how if args.alphabet == "binary" else {**how, "alphabet": args.alphabet})
    for seed in seeds:
        if (part := f"network {seed}") not in record:
            record.put(part, measured(seed, args.alphabet))
        print(part, record[part])
    errors = np.array([record[f"network {seed}"]["error"] for seed in seeds])
    refused = sum("refused" in record[f"network {seed}"] for seed in seeds)
    record.put(
        "all",
        {"median": float(np.median(errors)), "under 2 %": int((errors < 0.02).sum()), "refused": refused},
    )
    print(record["all"])


if __name__ == "__main__":
    main()
