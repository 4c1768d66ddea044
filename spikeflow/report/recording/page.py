"""A recording as one HTML file: turned, played and read without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from spikeflow.report import template, words
from spikeflow.report.recording.facts import RecordingFacts, drawn
from spikeflow.report.recording.frames import MOST
from spikeflow.version import __version__

SCRIPTS = ("recording", "recording_rate", "recording_raster", "recording_cloud", "recording_player")
STYLES = ("style", "recording")
TICKS = 2**32  # ticks that a point's time may have


def to_html(facts: RecordingFacts) -> str:
    """The whole page. Strings of the facts come from files and are escaped wherever they stand."""
    script = "{\n" + "\n".join(template.piece(f"{name}.js") for name in SCRIPTS) + "}\n"
    return (
        template.environment()
        .get_template("recording.html")
        .render(
            facts=facts,
            version=__version__,
            style=Markup("\n".join(template.piece(f"{name}.css") for name in STYLES)),
            script=Markup(script),
            # no other script runs on the page, whatever a file calls itself
            script_hash=Markup(
                "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            ),
            data=Markup(data_json(facts)),
            **_captions(facts),
        )
    )


def data_json(facts: RecordingFacts) -> str:
    """The numbers of the page, arrays as base64 of little-endian bytes; fit to stand inside a script
    element.
    """
    points, frames = facts.points, facts.frames
    tick = -(-facts.span_us // TICKS)
    gaps, counts = frames.packed()
    found: dict[str, Any] = {
        "line": facts.is_line,
        "width": facts.survey.width,
        "height": facts.survey.height,
        "dt": facts.dt_us,
        "steps": facts.steps,
        "window": facts.window,
        "on": _base64(facts.on, "<f8"),
        "off": _base64(facts.off, "<f8"),
        "points": {
            "tick": tick,
            "t": _base64(points.t_us // tick, "<u4"),
            "x": _base64(points.x, "<u2"),
            "y": _base64(points.y, "<u2"),
            "p": _base64(points.p, "u1"),
        },
    }
    if not facts.is_line:
        found["frames"] = {
            "width": frames.width,
            "height": frames.height,
            "gaps": base64.b64encode(gaps).decode(),
            "counts": base64.b64encode(counts).decode(),
        }
    text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _base64(array: npt.NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def _captions(facts: RecordingFacts) -> dict[str, Any]:
    survey = facts.survey
    span = words.quantity((survey.last_us - survey.first_us) / 1e6, "s")
    label = f"{survey.events:,} events in {span} on {survey.width} by {survey.height} pixels."
    peak = float((facts.on + facts.off).max()) / (facts.dt_us / 1e6)
    return {
        "figures": tuple(_figures(facts)),
        "label": label,
        "drawn": drawn(facts),
        "cells": cells(facts),
        "step": words.quantity(facts.dt_us / 1e6, "s"),
        "rate_label": f"Rate of on and off events over {span}; at most "
        f"{words.quantity(peak, 'events per second')}.",
    }


def _figures(facts: RecordingFacts) -> tuple[tuple[str, str], ...]:
    survey = facts.survey
    duration = survey.last_us - survey.first_us
    size = f"{survey.width:,} channels" if facts.is_line else words.shape((survey.width, survey.height))
    rate = words.quantity(survey.events / (duration / 1e6), "/s") if duration else "none"
    return (
        (words.count(survey.events), "events"),
        (words.quantity(duration / 1e6, "s"), "from the first to the last"),
        (size, "sensor" if survey.sensor_known else "as far as events reach: the sensor is not known"),
        (rate, "events per second, on average" if duration else "rate: all events have one time"),
        (words.percent(survey.on_events / survey.events), "are on events"),
    )


def cells(facts: RecordingFacts) -> str:
    """What a cell of a frame is."""
    frames, cell = facts.frames, facts.frames.cell
    said = "Every event counts."
    if (over := int(np.count_nonzero(np.maximum(frames.on, frames.off) > MOST))) > 0:
        said += f" A cell that had more than {MOST} of one sign ({over:,} times) shows {MOST}."
    if cell > 1:
        said += (
            f" {cell} by {cell} pixels are one cell, so that the page stays small: ask for a shorter "
            "stretch to see each."
        )
    return said
