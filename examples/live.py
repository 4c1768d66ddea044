"""A network on a camera as it films: events come in pieces, the engine goes on by whole steps, the spikes are the whole run's.

    python examples/live.py                                     (films a moving bar first, into the folder --out)
    python examples/live.py --file RECORDING --sensor 128x128   (a recording of your own)

What has come is cut into steps of --dt-us; a step is run once its last event has come. The run is live: it keeps the
state of the network itself, and memory does not grow with the recording.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from spikeflow.datasets import open_recording, write
from spikeflow.datasets.transforms.frames import ToSpikes
from spikeflow.events import Events, Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Output
from spikeflow.neurons import LIF
from spikeflow.sim import prepare, run


def filmed(folder: Path) -> Path:
    """A bar that crosses a sensor of 64 x 48 pixels in a second: on at its front, off at its back, and noise."""
    rng, width, height, count = np.random.default_rng(0), 64, 48, 60_000
    t = np.sort(rng.integers(0, 1_000_000, count))
    on = rng.random(count) < 0.5
    at = t * (width - 8) // 1_000_000 + np.where(on, 7, 0)
    x = np.where(rng.random(count) < 0.1, rng.integers(0, width, count), at)
    path = folder / "bar.aedat4"
    write(path, Events(t, x, rng.integers(0, height, count), on.astype(np.uint8), width, height))
    return path


def network(height: int, width: int) -> Graph:
    """Eight kernels of 5 x 5 at every fourth pixel, leaky neurons, and what they sent 3 steps ago taken off again."""
    kernels = np.random.default_rng(1).normal(0.15, 0.3, (8, 2, 5, 5)).astype(np.float32)
    back = np.zeros((8, 8, 1, 1), np.float32)
    back[range(8), range(8)] = -0.5
    see, slow = Conv2d(kernels, stride=(4, 4)), Conv2d(back)
    shape = see.output_shape("see", ((2, height, width),))
    nodes = {
        "camera": Input((2, height, width)),
        "see": see,
        "cells": LIF(decay=0.9).node(shape),
        "slow": slow,
        "out": Output(),
    }
    edges = (Edge("camera", "see"), Edge("see", "cells"), Edge("cells", "slow", delay=3))
    return Graph(nodes, (*edges, Edge("slow", "cells"), Edge("cells", "out")))


def whole_steps(pieces: Iterable[Events], dt_us: int) -> Iterator[Spikes]:
    """The events of whole steps, as soon as all of them have come; the first step begins with the first event."""
    held: Events | None = None
    begin = 0
    for piece in pieces:
        if not len(piece):
            continue
        begin = int(piece.t[0]) if held is None else begin
        held = piece if held is None else joined(held, piece)
        steps = (int(held.t[-1]) - begin) // dt_us  # the step of the last event may not be over
        if steps:
            end = begin + steps * dt_us
            yield spikes_of(held[held.t < end], begin, steps, dt_us)
            held, begin = held[held.t >= end], end
    if held is not None:
        yield spikes_of(held, begin, (int(held.t[-1]) - begin) // dt_us + 1, dt_us)


def joined(a: Events, b: Events) -> Events:
    """One after the other."""
    columns = (np.concatenate([getattr(a, name), getattr(b, name)]) for name in "txyp")
    return Events(*columns, a.width, a.height)


def spikes_of(events: Events, begin: int, steps: int, dt_us: int) -> Spikes:
    """One spike for each pixel and polarity that has an event in a step."""
    shifted = Events(events.t - begin, events.x, events.y, events.p, events.width, events.height)
    return ToSpikes(dt_us=dt_us, steps=steps, start="zero", clip=True)(shifted)


def main() -> None:
    """Film, run live, and compare with one run of the whole recording."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, help="a recording; without one a bar is filmed")
    parser.add_argument("--sensor", default="", help="WIDTHxHEIGHT, where the file does not say it")
    parser.add_argument("--dt-us", type=int, default=1000)
    parser.add_argument("--piece", type=int, default=777, help="events that come at a time")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the film")
    args = parser.parse_args()
    path = args.file or filmed(args.out)
    size = (
        dict(zip(("width", "height"), map(int, args.sensor.split("x")), strict=True)) if args.sensor else {}
    )
    with open_recording(path, **size) as recording:
        first = next(iter(recording.pieces(1)))
        assert first.width is not None and first.height is not None, (
            "the sensor's size is not known: --sensor"
        )
        graph = network(first.height, first.width)
        live, found, begun = prepare(graph).begin(), [], time.perf_counter()
        for spikes in whole_steps(recording.pieces(args.piece), args.dt_us):
            result = live.advance(spikes, spikes.steps, record=("cells",))
            found.append(result.recorded["cells"].dense())
        seconds = time.perf_counter() - begun
        whole = ToSpikes(dt_us=args.dt_us, clip=True)(recording.read())
    cells = np.concatenate(found)
    wanted = run(graph, whole, whole.steps, record=("cells",))
    assert np.array_equal(cells, wanted.recorded["cells"].dense()) and live.state() == wanted.state
    print(
        f"{path.name}: {whole.count} input spikes, {len(cells)} steps in {len(found)} stretches, {seconds:.2f} s"
    )
    print(f"live and whole: {int(cells.sum())} spikes, equal; the state behind them, too")


if __name__ == "__main__":
    main()
