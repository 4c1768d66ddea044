"""The pictures of a mapping: how full each core is, and how busy each link of the mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle

from spikeflow.report.canvas import INK, LINE, PAPER, QUIET, SHADES, Picture, picture
from spikeflow.report.facts import CoreFacts, LinkFacts, MappedFacts

WIDTH = 3.7
MAPPING = LinearSegmentedColormap.from_list("use", SHADES)
MAX_TILES = 4096         # of a picture; a larger mesh is drawn where it is used only


def heat_maps(mapped: MappedFacts) -> tuple[tuple[str, str], ...]:
    """A picture for each resource: its name, and the mesh with every used core shaded by its share."""
    names = [use.resource for use in mapped.cores[0].uses] if mapped.cores else []
    return tuple((name, _heat_map(mapped, index, name)) for index, name in enumerate(names))


def _heat_map(mapped: MappedFacts, index: int, name: str) -> str:
    shares = [core.uses[index].share for core in mapped.cores]
    with picture(f"use{index}", f"{name}: share of the limit used on each core", WIDTH, _height(mapped)) as drawn:
        _tiles(drawn, mapped)
        boxes = PatchCollection([_box(mapped, core) for core in mapped.cores], cmap=MAPPING, norm=Normalize(0, 1),
                                edgecolor=PAPER, linewidth=0.6)
        boxes.set_array(shares)
        drawn.axes.add_collection(boxes)
        _bar(drawn, boxes, "used / limit", percent=True)
        drawn.axes.set_title(f"{name}: at most {100 * max(shares):.1f} %")
    return drawn.svg


def traffic(mapped: MappedFacts) -> str:
    """The links between routers; darker and wider where more messages pass in a step."""
    if not mapped.links:
        return ""
    loads = [link.load for link in mapped.links]
    most = max(loads)
    with picture("traffic", "messages a step on each link of the mesh", WIDTH, _height(mapped)) as drawn:
        _tiles(drawn, mapped)
        lines = LineCollection([_line(link) for link in mapped.links], cmap=MAPPING, norm=Normalize(0, most or 1),
                               linewidths=[0.8 + 3.2 * load / (most or 1) for load in loads])
        lines.set_array(loads)
        drawn.axes.add_collection(lines)
        _bar(drawn, lines, "messages a step", percent=False)
        drawn.axes.set_title(f"busiest link: {most:.3g} messages a step")
    return drawn.svg


def _height(mapped: MappedFacts) -> float:
    columns, rows = _extent(mapped)
    return min(max(1.3, 0.75 + (WIDTH - 0.7) * rows / columns), 9.0)


def _extent(mapped: MappedFacts) -> tuple[int, int]:
    if mapped.columns * mapped.rows <= MAX_TILES:
        return mapped.columns, mapped.rows
    places = [(c.x, c.y) for c in mapped.cores] + [place for a in mapped.links for place in (a.source, a.target)]
    return max(x for x, _ in places) + 1, max(y for _, y in places) + 1


def _tiles(drawn: Picture, mapped: MappedFacts) -> None:
    axes, (columns, rows) = drawn.axes, _extent(mapped)
    boxes = [Rectangle((x - 0.44, y - 0.44), 0.88, 0.88) for x in range(columns) for y in range(rows)]
    axes.add_collection(PatchCollection(boxes, facecolor="#f4f5f6", edgecolor=LINE, linewidth=0.5))
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_aspect("equal")
    axes.set_xticks(_marks(columns))
    axes.set_yticks(_marks(rows))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _marks(size: int) -> Sequence[int]:
    return range(0, size, max(1, math.ceil(size / 12)))


def _box(mapped: MappedFacts, core: CoreFacts) -> Rectangle:
    # the cores of a tile stand in a small square of their own
    across = math.ceil(math.sqrt(mapped.cores_per_tile))
    side = 0.84 / across
    return Rectangle((core.x - 0.42 + side * (core.slot % across), core.y - 0.42 + side * (core.slot // across)), side, side)


def _line(link: LinkFacts) -> list[tuple[float, float]]:
    # the two directions of a link run side by side
    (ax, ay), (bx, by) = link.source, link.target
    length = math.hypot(bx - ax, by - ay) or 1.0
    dx, dy = 0.12 * (ay - by) / length, 0.12 * (bx - ax) / length
    return [(ax + dx, ay + dy), (bx + dx, by + dy)]


def _bar(drawn: Picture, shaded: PatchCollection | LineCollection, label: str, percent: bool) -> None:
    bar = drawn.figure.colorbar(shaded, ax=drawn.axes, fraction=0.05, pad=0.03, aspect=22)
    bar.set_label(label, color=QUIET)
    bar.ax.tick_params(length=0, labelcolor=INK)
    if percent:
        bar.set_ticks([0, 0.5, 1], labels=["0 %", "50 %", "100 %"])
