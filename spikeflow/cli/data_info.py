"""``spikeflow data info FILE|NAME``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from spikeflow.cli import console, data_options

WIDTH = 110

if TYPE_CHECKING:
    from spikeflow.datasets.sets.card import Archive, Card


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
    card = catalog.card(what)
    console.emit(as_json, card.to_json(), _text(card))


def _text(card: Card) -> str:
    sensor = f"{card.width}x{card.height}" if card.width else "varies from sample to sample"
    samples = ", ".join(f"{split} {count:,}" for split, count in card.counts.items())
    rows = [
        ("name", card.name),
        ("kind", card.kind),
        ("sensor", sensor),
        ("samples", samples),
        ("split", card.split),
        ("licence", card.licence),
        ("citation", card.citation),
        ("homepage", card.homepage),
        ("notes", card.notes),
        ("classes", f"{len(card.classes)}: {', '.join(card.classes)}" if card.classes else "none"),
    ]
    lines = [card.title]
    for name, value in rows:
        lines += textwrap.wrap(value, WIDTH, initial_indent=f"  {name:9} ", subsequent_indent=" " * 12)
    lines += ["  to fetch"] if card.archives else []
    return "\n".join([*lines, *(f"    {line}" for archive in card.archives for line in _archive(archive))])


def _archive(archive: Archive) -> list[str]:
    size = f", {archive.size:,} bytes" if archive.size else ""
    digest = next((f", {n} {v}" for n, v in (("sha256", archive.sha256), ("md5", archive.md5)) if v), "")
    hand = [f"  by hand: {archive.by_hand}"] if archive.by_hand else []
    return [f"{archive.name}{size}{digest}", f"  {archive.url}", *hand]
