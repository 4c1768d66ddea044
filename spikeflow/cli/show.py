"""``spikeflow show FILE [OTHER]``: any of our files as text, or how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from spikeflow.cli import console, opened
from spikeflow.errors import SpikeflowError

SAME, DIFFERENT, TROUBLE = 0, 1, 2  # exit codes, those of diff


@click.command("show")
@click.argument("file", type=click.Path())
@click.argument("other", type=click.Path(), required=False)
@click.option("--chip", help=console.CHIP_MODULE)
@console.JSON
@click.pass_context
def command(ctx: click.Context, file: str, other: str | None, chip: str | None, as_json: bool) -> None:
    """Print a network or a mapping as text, or compare two.

    Of two files what differs is printed, as changes from the first to the second; the exit code is then 0
    where they are equal, 1 where they differ, 2 where one cannot be read.
    """
    if other is None:
        _show(file, chip, as_json)
        return
    try:
        equal = _differ(file, other, as_json)
    except SpikeflowError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(TROUBLE)
    ctx.exit(SAME if equal else DIFFERENT)


def _differ(file: str, other: str, as_json: bool) -> bool:
    """Print the difference; whether there is none."""
    from spikeflow.ir.difference import difference

    kinds = [opened.kind_of(path) for path in (file, other)]
    # a mapping beside a network is compared as the network that its tables rebuild
    read: Any = opened.mapping if kinds == ["mapping", "mapping"] else opened.network
    found = difference(read(file), read(other))
    facts = {"equal": not found, "kinds": kinds, "changes": [change.to_json() for change in found]}
    lines = [f"--- {file}", f"+++ {other}", *map(str, found)] if found else [f"{file} and {other} are equal"]
    console.emit(as_json, facts, "\n".join(lines))
    return not found


def _show(file: str, chip: str | None, as_json: bool) -> None:
    from spikeflow.ir.show import show_network

    kind = opened.kind_of(file)
    if kind == "mapping":
        from spikeflow.hw.report import mapping_report

        mapping = opened.mapping(file)
        report = mapping_report(mapping, opened.chip(mapping, chip))
        console.emit(as_json, {"kind": kind, **report.to_json()}, report.to_text())
        return
    network = opened.network(file)
    conversion, lines = _conversion(network.record.notes)
    text = "\n".join([show_network(network).rstrip(), *lines])
    facts = {
        "kind": kind,
        "digest": network.graph.digest,
        "nodes": len(network.graph.nodes),
        "edges": len(network.graph.edges),
        "steps": network.record.steps,
        "conversion": conversion,
        "text": text,
    }
    console.emit(as_json, facts, text)


def _conversion(notes: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What a file notes of its conversion, and the same in lines; the report is loaded only for one."""
    if "conversion" not in notes:
        return {}, []
    from spikeflow.report.network.text import conversion_lines
    from spikeflow.report.network.verdicts import read_conversion

    found = read_conversion(notes)
    return found, list(conversion_lines(found))
