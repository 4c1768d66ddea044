"""What a picture of a recording says of where its events come from: a file of the user's, or a sample of a
data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spikeflow.datasets.info import Info
from spikeflow.datasets.sets.metadata import Metadata
from spikeflow.events import Events
from spikeflow.report import words
from spikeflow.report.recording.facts import About

MAX_FIELDS, MAX_VALUE = 40, 400  # of a header: how many are told, and how many letters of each


def about_file(path: str, info: Info) -> About:
    """Of a recording file."""
    facts = info.to_json()
    rows = [("file", path), ("format", info.format), *_counted(facts)]
    rows += [("assumed", text) for text in info.assumed]
    note = "; ".join(text.removeprefix(f"{path}: ") for text in info.warnings)
    return About(path.replace("\\", "/").rsplit("/", 1)[-1], note, (*rows, *_header(facts["fields"])))


def about_sample(
    metadata: Metadata, place: Mapping[str, str], label: int, facts: Mapping[str, Any], note: str = ""
) -> About:
    """Of one sample of a data set; `place` says which one, such as split and number; `facts` as `facts_of`
    gives.
    """
    name = metadata.classes[label] if 0 <= label < len(metadata.classes) else str(label)
    which = ", ".join(f"{what} {value}" if what == "sample" else value for what, value in place.items())
    rows = [("data set", metadata.title), *place.items(), ("label", name), *_counted(facts)]
    rows += [("licence", metadata.licence), ("citation", metadata.citation)]
    return About(f"{metadata.title}, {which}: {name}", note, tuple(rows))


def facts_of(events: Events) -> dict[str, Any]:
    """Of events in memory, what `spikeflow.datasets.info.describe` tells of a file."""
    first, last = ([int(getattr(events, n)[k]) for n in "txyp"] if len(events) else None for k in (0, -1))
    return {
        "width": events.width,
        "height": events.height,
        "events": len(events),
        "first": first,
        "last": last,
        "duration_us": events.duration_us,
        "on_events": int(events.p.sum()),
        "sha256": events.sha256,
        "dropped": dict(events.dropped),
    }


def _counted(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    width, height = facts["width"], facts["height"]
    yield "sensor", "not known" if width is None or height is None else f"{width} × {height}"
    yield "events", f"{facts['events']:,}"
    yield "on events", f"{facts['on_events']:,}"
    for name in ("first", "last"):
        if facts[name] is not None:
            t, x, y, p = facts[name]
            yield name, f"t {t:,} µs, x {x}, y {y}, {'on' if p else 'off'}"
    yield "duration", f"{facts['duration_us']:,} µs ({words.quantity(facts['duration_us'] / 1e6, 's')})"
    yield "SHA-256 of t, x, y, p", facts["sha256"]
    yield "left out", ", ".join(f"{why}: {count:,}" for why, count in facts["dropped"].items()) or "nothing"


def _header(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in list(fields.items())[:MAX_FIELDS]:
        text = str(value)
        yield f"header: {name[:MAX_VALUE]}", text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
    if len(fields) > MAX_FIELDS:
        yield "header", f"{len(fields) - MAX_FIELDS} more fields"
