"""What the directly trained examples share: an ordinary torch loop, and the way from layers to chips."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sequences import Sequences

from spikeflow.convert import capture_trained
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import HardwareError
from spikeflow.hw import map_network
from spikeflow.neurons import Sequential
from spikeflow.sim.classify import classify


def arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """--data, --seed and --smoke."""
    parser.add_argument("--data", default="", help="folder of real recordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="one epoch, for the tests")
    return parser.parse_args()


def logits(net: Sequential, x: torch.Tensor) -> torch.Tensor:
    """The read-out's accumulators at the end, for sequences ``(B, T, *shape)``."""
    out, _ = net(x.transpose(0, 1))
    return out[-1]


def fit(net: Sequential, data: Sequences, epochs: int) -> None:
    """Adam on the cross entropy of the last accumulators; the step size falls to 0 along a cosine."""
    x, y = torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)
    optimiser = torch.optim.Adam(net.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for epoch in range(epochs):
        for batch in torch.randperm(len(x)).split(50):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(logits(net, x[batch]), y[batch])
            loss.backward()
            optimiser.step()
        schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}", flush=True)
    net.eval()


def report(net: Sequential, data: Sequences, args: argparse.Namespace) -> None:
    """Accuracy of the torch layers, of the engine and of every chip, and how far they agree."""
    x, y = data.x_test, data.y_test
    with torch.no_grad():
        answers = (
            torch.cat([logits(net, batch) for batch in torch.from_numpy(x).split(100)]).argmax(1).numpy()
        )
    print(f"torch: {100 * (answers == y).mean():.2f} % of {len(y)} test sequences")
    network = capture_trained(net, x.shape[2:], data.dt, x.shape[1], data.labels)
    evaluation = classify(network, x)
    print(
        f"engine: {100 * evaluation.accuracy(y):.2f} %, {evaluation.synaptic_operations / len(y):,.0f} synaptic operations a sequence"
    )
    print(compare_layers(net, network, np.moveaxis(x[:100], 1, 0)))
    for chip in ("loihi2", "spinnaker2", "loihi1"):
        try:
            mapping = map_network(network, chip, data.x_train[:200], seed=args.seed)
        except HardwareError as refusal:
            print(refusal)
            continue
        mapped = classify(mapping.as_network(), x)
        print(f"{chip}: {100 * mapped.accuracy(y):.2f} % mapped, on {mapping.cores_used} cores")


if __name__ == "__main__":
    print("run train_lif.py or train_two_point.py")
