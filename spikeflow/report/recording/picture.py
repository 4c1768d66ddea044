"""A recording as one still picture: the events in space and time, some frames, the rate."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import EngFormatter, MaxNLocator

from spikeflow.report import words
from spikeflow.report.canvas import LOOK
from spikeflow.report.recording.facts import RecordingFacts, drawn, time_unit
from spikeflow.report.recording.paint import INK, LINE, OFF, ON, PAPER, full_count, palette, rgb, shaded
from spikeflow.typing import Array

SIZE, DPI = (11.0, 7.4), 150
PANELS = {False: (2, 2, 270), True: (3, 1, 500)}  # wide sensor: rows, columns, cells across (more are summed)
YAW, PITCH, EYE, LONG = 0.62, 0.36, 4.2, 2.1  # of the cloud, as on the page
QUIET, BOX = "#66707c", "#aab2bb"


def to_png(facts: RecordingFacts) -> bytes:
    """The picture. A title from a file is only text."""
    with matplotlib.rc_context({**LOOK, "figure.facecolor": PAPER, "axes.facecolor": PAPER}):
        figure = Figure(figsize=SIZE, dpi=DPI)
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            2, 1, height_ratios=(3.2, 1), left=0.06, right=0.98, bottom=0.075, top=0.88, hspace=0.2
        )
        if facts.is_line:
            _line(figure, facts, grid[0])
        else:
            _space(figure, facts, grid[0])
        _rate(figure.add_subplot(grid[1]), facts)
        _title(figure, facts)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _title(figure: Figure, facts: RecordingFacts) -> None:
    survey, title = facts.survey, facts.about.title
    span = words.quantity((survey.last_us - survey.first_us) / 1e6, "s")
    size = "channels" if facts.is_line else f"× {survey.height} pixels"
    short = title if len(title) <= 80 else "…" + title[-79:]
    figure.text(0.02, 0.96, short, size=13, weight="bold", va="center")
    told = [f"{survey.events:,} events in {span}, {survey.width} {size}", drawn(facts), facts.about.note]
    figure.text(
        0.02, 0.925, ". ".join(s.removesuffix(".") for s in told if s), size=8.5, color=QUIET, va="center"
    )


# --- two dimensions and time ---


def _space(figure: Figure, facts: RecordingFacts, place: SubplotSpec) -> None:
    inner = place.subgridspec(1, 2, width_ratios=(1.75, 1), wspace=0.03)
    _cloud(figure.add_subplot(inner[0]), facts)
    frames, steps = facts.frames, facts.window
    rows, columns, most_cells = PANELS[frames.width > 1.4 * frames.height]
    panels = inner[1].subgridspec(rows, columns, wspace=0.08, hspace=0.2)
    shrunk = max(1, -(-frames.width // most_cells))
    most = full_count(frames, steps, shrunk)
    for index, step in enumerate(_busiest(facts, steps, rows * columns)):
        axes = figure.add_subplot(panels[index // columns, index % columns])
        counts = frames.dense(step, steps, shrunk)
        axes.imshow(palette()[shaded(counts, most)], interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
        axes.set_title(_moment(facts, step, steps), size=8, color=QUIET, pad=3)


def _busiest(facts: RecordingFacts, steps: int, count: int) -> list[int]:
    """In each of `count` parts of the recording the first step of its busiest window."""
    total = np.concatenate([[0], np.cumsum(facts.on + facts.off)])
    begin = np.arange(max(1, facts.steps - steps + 1))
    busy = total[np.minimum(begin + steps, facts.steps)] - total[begin]
    parts = [part for part in np.array_split(begin, count) if len(part)]
    return [int(part[np.argmax(busy[part])]) for part in parts]


def _moment(facts: RecordingFacts, step: int, steps: int) -> str:
    unit, name = time_unit(facts.span_us)
    begin, end = (k * facts.dt_us / unit for k in (step, min(facts.steps, step + steps)))
    digits = max(0, int(np.ceil(-np.log10(facts.dt_us / unit))))
    return f"{begin:.{digits}f} to {end:.{digits}f} {name}"


def _turned(t: Array, y: Array, x: Array) -> tuple[Array, Array, Array]:
    """Where a point of the box lies on the picture (right, down), and how near; time to the right, y down."""
    across = t * np.cos(YAW) + x * np.sin(YAW)
    away = x * np.cos(YAW) - t * np.sin(YAW)
    down, near = y * np.cos(PITCH) + away * np.sin(PITCH), away * np.cos(PITCH) - y * np.sin(PITCH)
    scale = EYE / (EYE - near)
    return across * scale, down * scale, near


def _cloud(axes: Axes, facts: RecordingFacts) -> None:
    points, width, height = facts.points, facts.survey.width, facts.survey.height
    size = max(width, height)
    half = np.array([LONG / 2, height / size / 2, width / size / 2])
    right, down, near = _turned(
        (points.t_us / facts.span_us - 0.5) * LONG,
        (points.y + 0.5 - height / 2) / size,
        (points.x + 0.5 - width / 2) / size,
    )
    order, reach = np.argsort(near), float(np.hypot.reduce(half))
    share = 0.28 + 0.72 * np.clip((near + reach) / (2 * reach), 0, 1)[:, None]
    colour = np.where(points.p[:, None] == 1, rgb(ON), rgb(OFF)) / 255 * share + (1 - share)
    count = len(order)
    _box(axes, half)
    axes.scatter(
        right[order],
        down[order],
        s=4 if count < 3000 else 1.4 if count < 40_000 else 0.5,
        c=colour[order],
        marker="s",
        linewidths=0,
        rasterized=True,
    )
    _labels(axes, facts, half)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.axis("off")


def _box(axes: Axes, half: Array) -> None:
    corners = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)]) * 2 - 1
    right, down, _ = _turned(*(corners * half).T)
    pairs = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    lines = [[(right[i], down[i]), (right[j], down[j])] for i, j in pairs]
    axes.add_collection(LineCollection(lines, colors=BOX, linewidths=0.7))
    axes.update_datalim(np.column_stack([right, down]))
    axes.autoscale_view()


def _labels(axes: Axes, facts: RecordingFacts, half: Array) -> None:
    """Time along the lowest edge, x along the one beside it, y along the left one."""
    unit, name = time_unit(facts.span_us)
    length = facts.span_us / unit
    long, tall, deep = half

    def put(
        text: str, t: float, y: float, x: float, offset: tuple[float, float], colour: str = QUIET
    ) -> None:
        right, down, _ = _turned(np.array(t), np.array(y), np.array(x))
        where = "right" if offset[0] < 0 else "left"
        axes.annotate(
            text,
            (float(right), float(down)),
            offset,
            textcoords="offset points",
            size=8,
            color=colour,
            ha=where,
            va="center",
        )

    for tick in MaxNLocator(7).tick_values(0, length):
        if 0 <= tick <= length:
            put(f"{tick:g}", (tick / length - 0.5) * 2 * long, tall, deep, (4, -8))
    put(f"time, {name}", 0, tall, deep, (22, -20), INK)
    for share, text in ((-0.9, "0"), (0.9, f"{facts.survey.width}")):
        put(text, -long, tall, share * deep, (-5, -7))
    put("x", -long, tall, 0, (-14, -14), INK)
    for share, text in ((-0.96, "0"), (0.92, f"{facts.survey.height}")):
        put(text, -long, share * tall, -deep, (-6, 0))
    put("y", -long, 0, -deep, (-14, 0), INK)


# --- one dimension and time ---


def _line(figure: Figure, facts: RecordingFacts, place: SubplotSpec) -> None:
    inner = place.subgridspec(1, 2, width_ratios=(6, 1), wspace=0.03)
    axes = figure.add_subplot(inner[0])
    points, (unit, _) = facts.points, time_unit(facts.span_us)
    for sign, colour in ((0, OFF), (1, ON)):
        chosen = points.p == sign
        axes.scatter(
            points.t_us[chosen] / unit,
            points.x[chosen],
            s=1.5 if len(points.x) > 5000 else 5,
            c=colour,
            marker="s",
            linewidths=0,
        )
    axes.set_xlim(0, facts.span_us / unit)
    axes.set_ylim(-0.5, facts.survey.width - 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_ylabel("channel")
    beside = figure.add_subplot(inner[1], sharey=axes)
    left = np.zeros(facts.survey.width)
    for sign, colour in ((1, ON), (0, OFF)):
        count = np.bincount(points.x[points.p == sign], minlength=facts.survey.width)
        beside.barh(np.arange(facts.survey.width), count, height=1, left=left, color=colour)
        left += count
    beside.tick_params(axis="y", labelleft=False, length=0)
    beside.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    beside.set_title("events of each channel", size=8, color=QUIET)


def _rate(axes: Axes, facts: RecordingFacts) -> None:
    unit, name = time_unit(facts.span_us)
    edges = np.arange(facts.steps + 1) * facts.dt_us / unit
    for counts, sign, colour in ((facts.on, 1, ON), (facts.off, -1, OFF)):
        axes.stairs(sign * counts / (facts.dt_us / 1e6), edges, fill=True, color=colour, alpha=0.85)
    axes.axhline(0, color=LINE, linewidth=0.7)
    axes.set_xlim(0, edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(_Unsigned())
    axes.set_xlabel(f"time, {name}; steps of {words.quantity(facts.dt_us / 1e6, 's')}")
    axes.set_ylabel("events per second")
    for x, text, colour in ((0.0, "on", ON), (0.035, "off", OFF)):
        axes.text(x, 1.03, text, transform=axes.transAxes, color=colour, weight="bold", size=9)


class _Unsigned(EngFormatter):
    """Off events are drawn downwards; their rate is no negative number."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(abs(x), pos)
