"""``spikeflow data convert IN OUT``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeflow.cli import console, data_options
from spikeflow.errors import DataError, SpikeflowError, SpikeflowWarning
from spikeflow.files.write import drafted

if TYPE_CHECKING:
    from spikeflow.events import Events


@click.command(
    "convert", cls=console.Writing, short_help="Write a recording in another format, nothing lost."
)
@click.argument("source", metavar="IN")
@click.argument("target", type=console.OutputPath(), metavar="OUT")
@data_options.reading
@click.option("--to-format", help="Format of OUT, where its suffix does not tell.")
@click.option(
    "--drop-sensor", is_flag=True, help="Write, too, where OUT has no place for the size of the sensor."
)
@console.JSON
def command(
    source: str, target: str, to_format: str | None, drop_sensor: bool, as_json: bool, **options: Any
) -> None:
    """Write the events of a file in another format; what OUT cannot hold is an error.

    OUT is read back before it takes its place: the same events, in the same order.
    """
    from spikeflow.datasets import open_recording

    said = data_options.taken(options)
    with console.heard() as told, open_recording(source, **said) as recording:
        events, header = recording.read(), recording.header
    name = _target_format(Path(target), to_format)
    kept = _write_checked(Path(target), name, events, drop_sensor)
    facts = {
        "in": source,
        "out": target,
        "format": header.format,
        "to_format": name,
        "events": len(events),
        "width": events.width,
        "height": events.height,
        "sensor_kept": kept,
        "sha256": events.sha256,
        "dropped": dict(events.dropped),
        "warnings": told,
    }
    lines = [
        f"{len(events):,} events, {header.format} to {name}, read back and equal",
        f"sha256 {events.sha256}",
    ]
    lines += [f"left out, {reason}: {count:,}" for reason, count in events.dropped.items()]
    lines += [] if kept else [f"the sensor, {events.width}x{events.height}, is not in the file"]
    console.emit(as_json, facts, "\n".join([*lines, f"Written: {target}"]))


def _target_format(target: Path, name: str | None) -> str:
    from spikeflow.datasets.read import by_name, by_suffix

    return by_name(name).name if name else by_suffix(target).name


def _write_checked(target: Path, format: str, events: Events, drop_sensor: bool) -> bool:
    """Write, read back, compare, and only then move into place; whether the file tells the sensor, too."""
    from spikeflow.datasets.read import write_into

    with drafted(target, named=True) as draft:
        write_into(draft.file, events, format)
        draft.file.flush()
        kept = _compared(draft.path, target, format, events)
        if not kept and not drop_sensor:
            raise DataError(
                f"{target}: sensor",
                f"{events.width}x{events.height}",
                f"a format that has a place for it, which {format} has not",
                "--drop-sensor, or --to-format npz",
            )
    return kept


def _compared(draft: Path, target: Path, format: str, events: Events) -> bool:
    """Whether the file, read back, tells the sensor; DataError where its events are others."""
    from spikeflow.datasets import read

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikeflowWarning)  # of what we have just written ourselves
        try:
            again, told = read(draft, format), True
        except SpikeflowError:  # a layout that is read only with the sensor's size
            again, told = read(draft, format, width=events.width, height=events.height), False
    if again.sha256 != events.sha256:
        raise DataError(
            f"{target}: events", f"others when read back as {format}", "the same, in the same order"
        )
    return events.width is None or (told and (again.width, again.height) == (events.width, events.height))
