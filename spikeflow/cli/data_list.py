"""``spikeflow data list``."""

from __future__ import annotations

import click

from spikeflow.cli import console


@click.command("list")
@console.JSON
def command(as_json: bool) -> None:
    """List the data sets that spikeflow knows."""
    from spikeflow.datasets.sets import catalog

    cards = [catalog.metadata(name) for name in catalog.names()]
    facts = {
        "data_sets": [
            {
                "name": metadata.name,
                "title": metadata.title,
                "kind": metadata.kind,
                "width": metadata.width,
                "height": metadata.height,
                "classes": len(metadata.classes),
                "counts": dict(metadata.counts),
                "licence": metadata.licence,
            }
            for metadata in cards
        ]
    }
    rows = [
        [
            metadata.name,
            metadata.kind,
            f"{metadata.width}x{metadata.height}" if metadata.width else "varies",
            str(len(metadata.classes)),
            ", ".join(f"{split} {count:,}" for split, count in metadata.counts.items()),
            metadata.licence,
        ]
        for metadata in cards
    ]
    columns = ["name", "kind", "sensor", "classes", "samples", "licence"]
    console.emit(as_json, facts, console.table("Data sets", columns, rows, left=len(columns)))
