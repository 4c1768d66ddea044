"""``spikeflow show FILE``: any of our files, as text."""

from __future__ import annotations

import click

from spikeflow.cli import console, opened


@click.command("show")
@click.argument("file", type=click.Path())
@click.option("--chip", help="Dotted module that holds the CHIP of a mapping, where it is none of ours.")
@console.JSON
def command(file: str, chip: str | None, as_json: bool) -> None:
    """Print a network or a mapping as text."""
    from spikeflow.ir.show import show_network

    kind = opened.kind_of(file)
    if kind == "mapping":
        from spikeflow.hw.report import mapping_report

        mapping = opened.mapping(file)
        report = mapping_report(mapping, opened.chip(mapping, chip))
        console.emit(as_json, {"kind": kind, **report.to_json()}, report.to_text())
        return
    network = opened.network(file)
    text = show_network(network)
    facts = {
        "kind": kind,
        "digest": network.graph.digest,
        "nodes": len(network.graph.nodes),
        "edges": len(network.graph.edges),
        "steps": network.record.steps,
        "text": text,
    }
    console.emit(as_json, facts, text)
