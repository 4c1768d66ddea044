"""A small vision transformer on the digits of scikit-learn, spiking with `--approximate norms,products`.

python benchmarks/transformer.py --out benchmarks/records/transformer.json   # about a minute on a quiet core

Trained here: 1,297 digits, 20 epochs, seed 0; converted on 300 of these without labels; the other 500 are the test.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import ROOT, Record
from torch import nn

sys.path.insert(0, str(ROOT / "examples"))
from pictures import Pictures, digits
from train_ann import train
from transformer import VisionTransformer

from spikeflow.convert import convert
from spikeflow.sim.classify import RunOptions, classify

STEPS = (4, 8, 16, 32)
CALIBRATION, REFERENCE, EPOCHS = 300, 20, 20


def trained(p: Pictures) -> nn.Module:
    """The network in evaluation mode."""
    torch.manual_seed(0)
    net = VisionTransformer()
    train(net, torch.from_numpy(p.x_train), torch.from_numpy(p.y_train), EPOCHS)
    return net.eval()


def measured(net: nn.Module, p: Pictures, alphabet: str) -> dict[str, Any]:
    """Accuracy, agreement and time of one alphabet; the reference on some images, bit for bit."""
    begun = time.perf_counter()
    words = ("norms", "products")
    made = convert(
        net, p.x_train[:CALIBRATION], approximate=words, alphabet=alphabet, steps=max(STEPS)
    ).network
    found: dict[str, Any] = {"seconds": time.perf_counter() - begun}
    with torch.no_grad():
        ann = net(torch.from_numpy(p.x_test)).argmax(1).numpy()
    found["ann"] = float((ann == p.y_test).mean())
    for steps in STEPS:
        answers = classify(made, p.x_test, RunOptions(steps=steps)).accumulated().argmax(1)
        found[f"T = {steps}"] = {
            "accuracy": float((answers == p.y_test).mean()),
            "agreement": float((answers == ann).mean()),
        }
    few = p.x_test[:REFERENCE]
    runs = [classify(made, few, RunOptions(backend)).accumulated() for backend in ("cpp", "reference")]
    found["reference is the engine's bits"] = bool(np.array_equal(*runs))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--alphabets", default="binary,signed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    record, p = Record(args.out, {"epochs": EPOCHS, "calibration": CALIBRATION}), digits(0)
    net = trained(p)
    for alphabet in args.alphabets.split(","):
        if alphabet not in record:
            record.put(alphabet, measured(net, p, alphabet))
        print(alphabet, record[alphabet], flush=True)


if __name__ == "__main__":
    main()
