"""Train a small ANN (convolutional, or a transformer) and save it with calibration and test data.

python examples/train_ann.py --out demo              # the digits of scikit-learn
python examples/train_ann.py --out demo --data DIR   # Fashion-MNIST from DIR
python examples/train_ann.py --network transformer --out vit   # saved by torch.export, as ann.pt2
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from pictures import pictures
from torch import nn
from transformer import VisionTransformer


def network(size: int) -> nn.Sequential:
    """Two convolutions, average pooling after each, and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (size // 4) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def train(net: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    """Adam on the cross entropy, batches of 64."""
    steps = epochs * (len(x) // 64)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(epochs):
        for batch in torch.randperm(len(x))[: len(x) // 64 * 64].split(64):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}", flush=True)


def save(net: nn.Module, out: Path, x: torch.Tensor) -> None:
    """Torch's own layers one behind the other as they are; any other network as what it computes."""
    if isinstance(net, nn.Sequential):
        torch.save(net, out / "ann.pt")
        return
    torch.export.save(torch.export.export(net, (x,)), out / "ann.pt2")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--data", default="")
    parser.add_argument("--network", choices=("convolutional", "transformer"), default="convolutional")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="one epoch, for the tests")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)  # before the work, where it cannot be
    torch.manual_seed(args.seed)
    p = pictures(args.data)
    transformer = args.network == "transformer"
    net = (VisionTransformer if transformer else network)(p.x_train.shape[-1])
    epochs = 1 if args.smoke else args.epochs or (2 if args.data else 60 if transformer else 30)
    train(net, torch.from_numpy(p.x_train), torch.from_numpy(p.y_train), epochs)
    net.eval()
    with torch.no_grad():
        accuracy = (net(torch.from_numpy(p.x_test)).argmax(1).numpy() == p.y_test).mean()
    save(net, args.out, torch.from_numpy(p.x_test[:2]))
    calibration = np.random.default_rng(args.seed).permutation(len(p.x_train))[:500]
    np.savez(args.out / "calib.npz", x=p.x_train[calibration], y=p.y_train[calibration])
    np.savez(args.out / "test.npz", x=p.x_test, y=p.y_test)
    print(f"ANN accuracy on {len(p.y_test)} test images: {100 * accuracy:.2f} %")


if __name__ == "__main__":
    main()
