"""``spikeflow map net.h5 --chip loihi2 --data calib.npz --out net.map.h5``."""

from __future__ import annotations

from typing import Any

import click

from spikeflow.cli import console, opened
from spikeflow.errors import FileError


@click.command("map", cls=console.Writing)
@click.argument("file", type=click.Path())
@click.option(
    "--chip",
    required=True,
    help="loihi1, loihi2, spinnaker2, or the dotted name of a Python module that holds a CHIP.",
)
@click.option(
    "--chips", type=click.IntRange(1), default=1, show_default=True, help="Largest number of chips to use."
)
@click.option("--data", type=click.Path(), required=True, help=console.SAMPLES)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    help="Smallest share of held-back samples that the integers must answer as the float network does.",
)
@click.option("--accept-loss", is_flag=True, help="Write the mapping even if there are fewer such samples.")
@console.SEED
@console.OUT
@console.JSON
def command(file: str, chip: str, data: str, out: str, as_json: bool, **options: Any) -> None:
    """Map a network onto a chip.

    Numbers become the chip's integers, neurons get places on its cores, and their messages routes. Where that
    is not possible, every reason is printed.
    """
    from spikeflow.hw import load, map_network
    from spikeflow.hw.report import mapping_report
    from spikeflow.hw.tables.file import write_mapping

    table = load(chip)
    if opened.kind_of(file) == "mapping":
        raise FileError(file, "is a mapping already", "the network that it was made from")
    network = opened.network(file)
    samples = opened.samples(network, data)
    with console.heard() as warned, console.progress(f"mapping onto {chip}") as progress:
        mapping = map_network(network, table, samples, progress=progress, **options)
    write_mapping(out, mapping)
    report = mapping_report(mapping, table)
    facts = {"out": out, **report.to_json(), "warnings": warned}
    console.emit(as_json, facts, f"{report.to_text()}\nWritten: {out}")
