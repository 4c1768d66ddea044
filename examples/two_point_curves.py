"""The basic experiments on two-point cells, one figure each; `docs/tutorials/two_point.md` says what they show.

python examples/two_point_curves.py curves --out curves.png       # rate against basal drive, at three contexts
python examples/two_point_curves.py context --out context.png     # context alone, in each mode
python examples/two_point_curves.py selective --out selective.png # two streams, one of them in context
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import matplotlib.axes
import numpy as np
import torch

from spikeflow.neurons import Neuron, TwoPointLIF

STEPS = 1000
MODES = ("isolation", "gate", "amplify", "drive", "amplify_drive", "pass", "cooperation")


def rates(mode: str, basal: np.ndarray, apical: np.ndarray | float) -> np.ndarray:
    """Spikes a step of cells whose inputs stay as they are, one cell for each basal value."""
    gain = {"gain": 4.0} if mode.startswith("amplify") else {}
    cell = Neuron(TwoPointLIF(decay=1.0, reset="subtract", mode=mode, **gain))  # type: ignore[arg-type]
    held = [np.broadcast_to(x, (STEPS, 1, len(basal))).astype(np.float32) for x in (basal, apical)]
    with torch.no_grad():
        z, _ = cell({"basal": torch.from_numpy(held[0]), "apical": torch.from_numpy(held[1])})
    return np.asarray(z.mean((0, 1)))


def curves(axes: matplotlib.axes.Axes) -> None:
    """Context changes the slope of the response, not where it begins."""
    basal = np.linspace(0, 0.4, 41)
    for apical in (-2.0, 0.0, 2.0):
        found = rates("gate", basal, apical)
        axes.plot(basal, found, label=f"apical {apical:+g}")
        print(f"gate, apical {apical:+g}: rate {found[20]:.3f} at basal {basal[20]:g}")
    axes.set(xlabel="basal current", ylabel="spikes a step", title="gate")
    axes.legend()


def context(axes: matplotlib.axes.Axes) -> None:
    """Without basal input the modes that gate stay silent; those that drive do not."""
    alone = [float(rates(mode, np.zeros(1), 2.0)[0]) for mode in MODES]
    axes.bar(MODES, alone)
    axes.tick_params("x", rotation=45)
    axes.set(ylabel="spikes a step", title="apical 2, basal 0")
    for mode, rate in zip(MODES, alone, strict=True):
        print(f"{mode}, context alone: rate {rate:.3f}")


def selective(axes: matplotlib.axes.Axes) -> None:
    """Of two streams of equal evidence the one in context is amplified, the other one attenuated."""
    evidence, attended = np.full(8, 0.2), np.repeat([1.0, -1.0], 4)
    for at, mode in enumerate(("isolation", "gate", "amplify")):
        found = rates(mode, evidence, attended)
        inside, outside = found[:4].mean(), found[4:].mean()
        axes.bar([at - 0.2, at + 0.2], [inside, outside], 0.4, color=["C0", "C1"])
        print(f"{mode}: rate {inside:.3f} in context, {outside:.3f} out of it")
    axes.set_xticks(range(3), ("isolation", "gate", "amplify"))
    axes.set(ylabel="spikes a step", title="in context (blue), out of it (orange)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=("curves", "context", "selective"))
    parser.add_argument("--out", type=Path, required=True, help="the picture to write, PNG")
    args = parser.parse_args()
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    {"curves": curves, "context": context, "selective": selective}[args.figure](axes)
    figure.savefig(args.out, dpi=120)


if __name__ == "__main__":
    main()
