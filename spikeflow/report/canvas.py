"""A small figure that comes out as inline SVG: same look everywhere, no date, no font files, nothing to
fetch.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, QUIET, LINE, ACCENT, PAPER = "#1c2430", "#66707c", "#d8dce1", "#0f6b75", "#ffffff"
WARN = "#b3541e"
SHADES = (
    "#d9ebeb",
    "#b5d6d7",
    "#84bbbe",
    "#4d989e",
    "#1f7680",
    "#0b4f58",
)  # pale still stands out from paper

LOOK: Any = {
    # text stays text, set in the page's own font; a name from a file is never read as a formula
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "font.size": 9.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 1.6,
}
_FONT = re.compile(r"font: ([0-9.]+)px[^;\"]*")
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#|href="#)')


@dataclass
class Picture:
    """A figure while it is drawn, and its SVG once it is done."""

    figure: Figure
    axes: Axes
    svg: str = ""


@contextmanager
def picture(name: str, title: str, width: float, height: float) -> Generator[Picture, None, None]:
    """Draw on `axes`; afterwards `svg` holds the picture. `name` tells its ids from those of other
    pictures.
    """
    with matplotlib.rc_context({**LOOK, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        drawn = Picture(figure, figure.add_subplot())
        yield drawn
        drawn.svg = _inline(figure, name, title)


def _inline(figure: Figure, name: str, title: str) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _FONT.sub(r"font-size: \1px", text)
    text = _ID.sub(rf"\1{name}-", text)
    width, height = (72 * v for v in figure.get_size_inches())
    return (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(title)}" style="max-width:{width * 1.25:.0f}px">{text.split(">", 1)[1]}'
    )
