"""``spikeflow data info FILE|NAME``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from spikeflow.cli import console, data_options

WIDTH = 110

if TYPE_CHECKING:
    from spikeflow.datasets.sets.metadata import Archive, Metadata


@click.command("info", short_help="Describe an event file or a data set.")
@click.argument("what", metavar="FILE|NAME")
@data_options.reading
@console.JSON
def command(what: str, as_json: bool, **options: Any) -> None:
    """Describe an event file (count, sensor, times, checksum) or a data set (licence, citation, labels)."""
    said = data_options.taken(options)
    if data_options.is_file(what):
        from spikeflow.datasets.info import describe

        with console.heard() as told:
            info = describe(what, **said)
        console.emit(as_json, {**info.to_json(), "warnings": told}, info.to_text())
        return
    from spikeflow.datasets.sets import catalog

    data_options.no_reading(said)
    metadata = catalog.metadata(what)
    console.emit(as_json, metadata.to_json(), _text(metadata))


def _text(metadata: Metadata) -> str:
    sensor = f"{metadata.width}x{metadata.height}" if metadata.width else "varies from sample to sample"
    samples = ", ".join(f"{split} {count:,}" for split, count in metadata.counts.items())
    rows = [
        ("name", metadata.name),
        ("kind", metadata.kind),
        ("sensor", sensor),
        ("samples", samples),
        ("split", metadata.split),
        ("licence", metadata.licence),
        ("citation", metadata.citation),
        ("homepage", metadata.homepage),
        ("notes", metadata.notes),
        (
            "classes",
            f"{len(metadata.classes)}: {', '.join(metadata.classes)}" if metadata.classes else "none",
        ),
    ]
    lines = [metadata.title]
    for name, value in rows:
        lines += textwrap.wrap(value, WIDTH, initial_indent=f"  {name:9} ", subsequent_indent=" " * 12)
    lines += ["  to fetch"] if metadata.archives else []
    return "\n".join(
        [*lines, *(f"    {line}" for archive in metadata.archives for line in _archive(archive))]
    )


def _archive(archive: Archive) -> list[str]:
    size = f", {archive.size:,} bytes" if archive.size else ""
    digest = next((f", {n} {v}" for n, v in (("sha256", archive.sha256), ("md5", archive.md5)) if v), "")
    hand = [f"  by hand: {archive.by_hand}"] if archive.by_hand else []
    return [f"{archive.name}{size}{digest}", f"  {archive.url}", *hand]
