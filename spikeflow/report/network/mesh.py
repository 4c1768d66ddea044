"""The pictures of a mapping: how full each core is, and how busy each link of the mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from spikeflow.report.canvas import LINE, PAPER, QUIET, SHADES, Picture, picture
from spikeflow.report.network.facts import CoreFacts, LinkFacts, MappedFacts, MeshFacts

WIDTH = 3.7
TABLED = 8  # so few cores are lost on a map of a chip; the table shows them
LEVELS = 32  # of shade
NOT_DRAWN = ("delay, steps",)  # says little core by core; the table holds it
SHADING = LinearSegmentedColormap.from_list("use", SHADES)


def heat_maps(mapped: MappedFacts) -> tuple[str, ...]:
    """The mesh once for each resource, every core shaded by its share, and once for what is done on each.

    None where so few cores are used that the maps would be all but empty.
    """
    if len(mapped.cores) <= TABLED:
        return ()
    first = mapped.cores[0].uses
    drawn = [_use(mapped, index) for index, use in enumerate(first) if use.resource not in NOT_DRAWN]
    return (*drawn, _work(mapped))


def _use(mapped: MappedFacts, index: int) -> str:
    shares = [core.uses[index].share for core in mapped.cores]
    name = mapped.cores[0].uses[index].resource
    with picture(
        f"use{index}", f"{name}: share of the limit used on each core", WIDTH, _height(mapped.mesh)
    ) as drawn:
        _bar(drawn, _shaded(drawn, mapped, shares, 1.0), "used / limit", percent=True)
        drawn.axes.set_title(f"{name}: at most {100 * max(shares):.1f} %")
    return drawn.svg


def _work(mapped: MappedFacts) -> str:
    counts = [core.report.operations for core in mapped.cores]
    with picture("work", "synaptic operations a step on each core", WIDTH, _height(mapped.mesh)) as drawn:
        _bar(drawn, _shaded(drawn, mapped, counts, max(counts) or 1.0), "a step", percent=False)
        drawn.axes.set_title(f"synaptic operations a step: at most {max(counts):,.0f}")
    return drawn.svg


def _shaded(drawn: Picture, mapped: MappedFacts, values: Sequence[float], full: float) -> ScalarMappable:
    """The cores, one path for all of one shade: a rectangle each would make the page of a large chip huge."""
    _tiles(drawn, mapped.mesh)
    by_shade: dict[int, list[CoreFacts]] = {}
    for core, value in zip(mapped.cores, values, strict=True):
        by_shade.setdefault(round(LEVELS * min(1.0, value / full)), []).append(core)
    for shade, cores in sorted(by_shade.items()):
        outline = Path.make_compound_path(*(_box(mapped.mesh, core) for core in cores))
        drawn.axes.add_patch(
            PathPatch(outline, facecolor=SHADING(shade / LEVELS), edgecolor=PAPER, linewidth=0.4)
        )
    return ScalarMappable(Normalize(0, full), SHADING)


def traffic(mesh: MeshFacts) -> str:
    """The links between routers; darker and wider where more messages pass in a step."""
    if not mesh.links:
        return ""
    loads = [link.load for link in mesh.links]
    most = max(loads)
    with picture("traffic", "messages a step on each link of the mesh", WIDTH, _height(mesh)) as drawn:
        _tiles(drawn, mesh)
        lines = LineCollection(
            [_line(link) for link in mesh.links],
            cmap=SHADING,
            norm=Normalize(0, most),
            linewidths=[0.8 + 3.2 * load / most for load in loads],
        )
        lines.set_array(loads)
        drawn.axes.add_collection(lines)
        _bar(drawn, lines, "messages a step", percent=False)
        drawn.axes.set_title(f"busiest link: {most:.3g} messages a step")
    return drawn.svg


def _height(mesh: MeshFacts) -> float:
    return min(1.25 + (WIDTH - 0.4) * mesh.rows / mesh.columns, 9.0)


def _tiles(drawn: Picture, mesh: MeshFacts) -> None:
    axes = drawn.axes
    width, height = mesh.columns - 0.5, mesh.rows - 0.5
    for step, colour, weight in ((1, LINE, 0.5), (0, QUIET, 1.0)):
        across, down = (
            range(0, mesh.columns + 1, step or mesh.chip_columns),
            range(0, mesh.rows + 1, step or mesh.chip_rows),
        )
        axes.vlines([x - 0.5 for x in across], -0.5, height, color=colour, linewidth=weight)
        axes.hlines([y - 0.5 for y in down], -0.5, width, color=colour, linewidth=weight)
    axes.set_xlim(-0.6, mesh.columns - 0.4)
    axes.set_ylim(mesh.rows - 0.4, -0.6)
    axes.set_aspect("equal")
    axes.set_xticks(_marks(mesh.columns))
    axes.set_yticks(_marks(mesh.rows))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _marks(size: int) -> Sequence[int]:
    return range(0, size, max(1, math.ceil(size / 12)))


def _box(mesh: MeshFacts, core: CoreFacts) -> Path:
    # the cores of a tile stand in a small square of their own
    across = math.ceil(math.sqrt(mesh.cores_per_tile))
    side = 0.84 / across
    left, top = (
        core.column - 0.42 + side * (core.report.slot % across),
        core.row - 0.42 + side * (core.report.slot // across),
    )
    corners = [(left, top), (left + side, top), (left + side, top + side), (left, top + side), (left, top)]
    return Path(corners, [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY])


def _line(link: LinkFacts) -> list[tuple[float, float]]:
    # the two directions of a link run side by side
    (ax, ay), (bx, by) = link.source, link.target
    length = math.hypot(bx - ax, by - ay) or 1.0
    dx, dy = 0.12 * (ay - by) / length, 0.12 * (bx - ax) / length
    return [(ax + dx, ay + dy), (bx + dx, by + dy)]


def _bar(drawn: Picture, shaded: ScalarMappable, label: str, percent: bool) -> None:
    bar = drawn.figure.colorbar(
        shaded, ax=drawn.axes, orientation="horizontal", shrink=0.6, anchor=(0, 0.5), aspect=30
    )
    bar.set_label(label, color=QUIET)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    if percent:
        bar.set_ticks([0, 0.5, 1], labels=["0 %", "50 %", "100 %"])
