"""What the directly trained examples share: an ordinary torch loop, and the way from layers to chips."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sequences import Sequences

from spikeflow.convert import capture_trained
from spikeflow.convert.verify.ties import compare_layers
from spikeflow.errors import HardwareError
from spikeflow.hw import map_network
from spikeflow.neurons import Net
from spikeflow.sim.classify import classify


def arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """--data, --seed and --smoke."""
    parser.add_argument("--data", default="", help="folder of real recordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="one epoch, for the tests")
    return parser.parse_args()


Entering = Callable[[np.ndarray], Any]
"""Sequences ``(N, T, *shape)`` as a network takes them: as they are, or parts of them by the name of its input."""


def whole(x: np.ndarray) -> Any:
    """All of it, for a network of one input."""
    return x


def in_time(x: Any) -> Any:
    """``(T, N, *shape)``, of several inputs each."""
    return {n: np.moveaxis(v, 1, 0) for n, v in x.items()} if isinstance(x, dict) else np.moveaxis(x, 1, 0)


def outputs(net: Net, x: Any, record: tuple[str, ...] = ()) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The read-out's accumulators at the end, and the values of the nodes named in `record`."""
    moments = in_time(x)
    given = (
        {n: torch.from_numpy(v) for n, v in moments.items()}
        if isinstance(x, dict)
        else torch.from_numpy(moments)
    )
    found, _ = net(given, record=(*net.outputs, *record))
    return found.pop(net.outputs[0])[-1], found


def fit(net: Net, data: Sequences, epochs: int, enter: Entering = whole, rates: tuple[str, ...] = ()) -> None:
    """Adam on the cross entropy of the last accumulators; the step size falls to 0 along a cosine.

    The layers named in `rates` are drawn to fire in a tenth of all steps: spikes cost energy on a chip.
    """
    y = torch.from_numpy(data.y_train)
    optimiser = torch.optim.Adam(net.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for epoch in range(epochs):
        for batch in torch.randperm(len(y)).split(50):
            optimiser.zero_grad()
            logits, spikes = outputs(net, enter(data.x_train[batch.numpy()]), rates)
            loss = torch.nn.functional.cross_entropy(logits, y[batch])
            for name in rates:
                loss = loss + 0.5 * (spikes[name].mean((0, 1)) - 0.1).square().mean()
            loss.backward()
            optimiser.step()
        schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}", flush=True)
    net.eval()


def report(net: Net, data: Sequences, args: argparse.Namespace, enter: Entering = whole) -> None:
    """Accuracy of the torch layers, of the engine and of every chip, and how far they agree."""
    x, y = enter(data.x_test), data.y_test
    with torch.no_grad():
        answers = np.concatenate(
            [
                outputs(net, enter(data.x_test[first : first + 100]))[0].argmax(1).numpy()
                for first in range(0, len(y), 100)
            ]
        )
    print(f"torch: {100 * (answers == y).mean():.2f} % of {len(y)} test sequences")
    shapes = {n: v.shape[2:] for n, v in x.items()} if isinstance(x, dict) else x.shape[2:]
    network = capture_trained(net, shapes, data.dt, data.x_test.shape[1], data.labels)
    evaluation = classify(network, x)
    print(
        f"engine: {100 * evaluation.accuracy(y):.2f} %, {evaluation.synaptic_operations / len(y):,.0f} synaptic operations a sequence"
    )
    print(compare_layers(net, network, in_time(enter(data.x_test[:100]))))
    for chip in ("loihi2", "spinnaker2", "loihi1"):
        try:
            mapping = map_network(
                network, chip, enter(data.x_train[:200]), seed=args.seed, accept_loss=args.smoke
            )
        except HardwareError as refusal:
            print(refusal)
            continue
        mapped = classify(mapping.as_network(), x)
        print(f"{chip}: {100 * mapped.accuracy(y):.2f} % mapped, on {mapping.cores_used} cores")


if __name__ == "__main__":
    print("run train_lif.py, train_two_point.py, residual_snn.py or two_stream.py")
