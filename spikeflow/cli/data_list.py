"""``spikeflow data list``."""

from __future__ import annotations

import click

from spikeflow.cli import console


@click.command("list")
@console.JSON
def command(as_json: bool) -> None:
    """List the data sets that spikeflow knows."""
    from spikeflow.datasets.sets import catalog

    cards = [catalog.card(name) for name in catalog.names()]
    facts = {
        "data_sets": [
            {
                "name": card.name,
                "title": card.title,
                "kind": card.kind,
                "width": card.width,
                "height": card.height,
                "classes": len(card.classes),
                "counts": dict(card.counts),
                "licence": card.licence,
            }
            for card in cards
        ]
    }
    rows = [
        [
            card.name,
            card.kind,
            f"{card.width}x{card.height}" if card.width else "varies",
            str(len(card.classes)),
            ", ".join(f"{split} {count:,}" for split, count in card.counts.items()),
            card.licence,
        ]
        for card in cards
    ]
    columns = ["name", "kind", "sensor", "classes", "samples", "licence"]
    console.emit(as_json, facts, console.table("Data sets", columns, rows, left=len(columns)))
