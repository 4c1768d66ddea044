"""The pictures of a network's report: accuracy over steps, rates, thresholds, spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator

from spikeflow.ir.interval import wilson
from spikeflow.report.canvas import ACCENT, INK, LINE, QUIET, WARN, picture
from spikeflow.report.network.facts import AnnFacts, LayerFacts, RasterFacts, RunFacts

WIDTH = 5.6
ROW = 0.19  # inches of one layer in a chart of layers
MAX_NAME = 26
TICK_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)


def accuracy(runs: Sequence[RunFacts], ann: AnnFacts | None) -> str:
    """Accuracy against the number of steps, a line for each run, and the ANN's as a level."""
    known = [run for run in runs if run.accuracy_over_steps]
    if not known:
        return ""
    with picture("accuracy", "accuracy against the number of steps", WIDTH, 2.9) as drawn:
        axes = drawn.axes
        if ann is not None:
            axes.axhline(100 * ann.accuracy, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.annotate(
                f"ANN {100 * ann.accuracy:.1f} % of {ann.samples:,}",
                (0.01, 100 * ann.accuracy),
                (0, -11),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=INK,
            )
        for run, colour, dashes in zip(known, (ACCENT, WARN), ((None, None), (5, 1.5)), strict=False):
            steps, values = zip(*run.accuracy_over_steps.items(), strict=True)
            axes.plot(steps, [100 * v for v in values], color=colour, dashes=dashes, label=run.title)
            low, high = zip(*(wilson(v, run.samples) for v in values), strict=True)
            axes.fill_between(
                steps, [100 * v for v in low], [100 * v for v in high], color=colour, alpha=0.12, linewidth=0
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks([t for t in TICK_STEPS if t <= known[0].steps])
        axes.xaxis.set_major_formatter(FormatStrFormatter("%d"))
        axes.minorticks_off()
        axes.set_ylim(0, 103)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_xlabel("steps read")
        axes.set_ylabel("accuracy, %")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handlelength=1.4)
    return drawn.svg


def fidelity(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """How far answers are those of the ANN, against the number of steps; see `verdicts.over_steps`."""
    if not curves:
        return ""
    with picture(
        "fidelity", "agreement with the ANN and error against the number of steps", WIDTH, 2.9
    ) as drawn:
        axes = drawn.axes
        for (title, points), colour in zip(curves.items(), (ACCENT, WARN, INK), strict=False):
            steps, shares = zip(*points, strict=True)
            axes.plot(
                steps, [100 * min(share, 1.0) for share in shares], color=colour, label=title, marker="."
            )
        most = max(steps for points in curves.values() for steps, _ in points)
        axes.set_xscale("log", base=2)
        axes.set_xticks([t for t in TICK_STEPS if t <= most])
        axes.xaxis.set_major_formatter(FormatStrFormatter("%d"))
        axes.minorticks_off()
        axes.set_ylim(0, 103)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_xlabel("steps")
        axes.set_ylabel("of the held-back samples, %")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=1, borderaxespad=0, handlelength=1.4)
    return drawn.svg


def rates(layers: Sequence[LayerFacts]) -> str:
    """Firing rate of each layer that spikes."""
    firing = [layer for layer in layers if layer.rate is not None]
    if not firing:
        return ""
    with picture("rates", "firing rate of each layer", WIDTH, 0.75 + ROW * len(firing)) as drawn:
        axes, values = drawn.axes, [layer.rate or 0.0 for layer in firing]
        axes.barh(range(len(firing)), values, color=ACCENT, height=0.62)
        for index, value in enumerate(values):
            axes.annotate(
                f"{value:.3f}", (value, index), (4, 0), textcoords="offset points", va="center", color=QUIET
            )
        _names(axes, [layer.node for layer in firing])
        axes.set_xlim(0, max(max(values) * 1.15, 1e-3))
        axes.set_xlabel("spikes per neuron and step")
    return drawn.svg


def thresholds(layers: Sequence[LayerFacts]) -> str:
    """Smallest to largest threshold of each layer, with a dot at the median."""
    known = [(layer.node, layer.threshold) for layer in layers if layer.threshold is not None]
    if not known:
        return ""
    with picture("thresholds", "thresholds of each layer", WIDTH, 0.75 + ROW * len(known)) as drawn:
        axes = drawn.axes
        for index, (_, found) in enumerate(known):
            axes.plot(
                [found.low, found.high],
                [index, index],
                color=ACCENT,
                linewidth=3,
                alpha=0.45,
                solid_capstyle="round",
            )
            axes.plot(found.median, index, "o", color=ACCENT, markersize=4.5)
        if min(found.low for _, found in known) > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.minorticks_off()
        _names(axes, [name for name, _ in known])
        axes.set_xlabel("threshold: smallest to largest, dot at the median")
    return drawn.svg


def raster(rasters: Sequence[RasterFacts]) -> str:
    """Spikes over time, one row a neuron, layers from top to bottom."""
    drawn_layers = [r for r in rasters if r.rows]
    count = sum(len(r.rows) + 1 for r in drawn_layers)
    if not count:
        return ""
    with picture("raster", "spike raster of one sample", WIDTH, 0.8 + 0.085 * count) as drawn:
        axes, at, ticks = drawn.axes, 0, []
        for index, layer in enumerate(drawn_layers):
            axes.add_patch(
                PathPatch(_ticks(layer, at), edgecolor=ACCENT if index % 2 == 0 else INK, linewidth=1.3)
            )
            ticks.append(at + (len(layer.rows) - 1) / 2)
            at += len(layer.rows) + 1
            axes.axhline(at - 1, color=LINE, linewidth=0.6)
        _names(axes, [layer.node for layer in drawn_layers], ticks)
        axes.set_ylim(count - 1, -1)
        axes.set_xlim(-0.5, max(r.steps for r in drawn_layers) - 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("step")
    return drawn.svg


def _ticks(layer: RasterFacts, top: int) -> Path:
    # one path for a layer: thousands of separate marks would make the page ten times larger
    points = [(step, top + row) for row, neuron in enumerate(layer.rows) for step in neuron.steps]
    vertices = np.repeat(np.array(points, float), 2, axis=0)
    vertices[0::2, 1] -= 0.4
    vertices[1::2, 1] += 0.4
    return Path(vertices, [Path.MOVETO, Path.LINETO] * len(points))


def _names(axes: Axes, names: Sequence[str], at: Sequence[float] | None = None) -> None:
    cut = [n if len(n) <= MAX_NAME else "…" + n[1 - MAX_NAME :] for n in names]
    axes.set_yticks(list(at) if at is not None else list(range(len(names))), cut)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if at is None:
        axes.set_ylim(len(names) - 0.5, -0.5)
