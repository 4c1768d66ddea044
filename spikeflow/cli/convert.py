"""``spikeflow convert ann.pt --data calib.npz --steps 64 --out net.h5``."""

from __future__ import annotations

from typing import Any

import click

from spikeflow.cli import console

COMPARED = 200  # calibration samples on which the two networks are compared


@click.command("convert", cls=console.Writing)
@click.argument("ann", type=click.Path())
@click.option(
    "--data",
    type=click.Path(),
    help=f"{console.SAMPLES} Without them thresholds come from the batch-norm statistics.",
)
@click.option("--steps", type=click.IntRange(1), default=64, show_default=True, help="Steps of a run.")
@click.option("--arch", help="package.module:function that makes the module of a state dict.")
@click.option("--input-shape", help="Shape of one sample, such as 3,32,32, where no data tells it.")
@click.option("--reset", type=click.Choice(["subtract", "zero"]), default="subtract", show_default=True)
@click.option(
    "--input",
    "coding",
    type=click.Choice(["direct", "rate", "onoff"]),
    default="direct",
    show_default=True,
    help="How a sample enters: as a current, as spikes, or as spikes of two signs.",
)
@click.option(
    "--thresholds",
    default="",
    help="Their rule: percentile (of the activations, the default with data), largest, or batch-norm.",
)
@click.option(
    "--percentile",
    type=click.FloatRange(50, 100),
    default=None,
    help="Of a channel's activations, taken as its threshold.",
)
@click.option(
    "--output", default="", help="The output that answers, where forward() returns several: key or index."
)
@click.option(
    "--answer",
    default="",
    help="What it says, where shape and labels do not tell: class or value; of several "
    "NAME=value,NAME=class.",
)
@click.option(
    "--preprocess",
    multiple=True,
    help="Done to samples first, here and in every run, in this order: divide=255, "
    "normalise=MEANS/DEVIATIONS, "
    "resize=WIDTHxHEIGHT, crop=WIDTHxHEIGHT. Give it once for each.",
)
@console.SEED
@console.OUT
@console.JSON
def command(
    ann: str,
    data: str | None,
    out: str,
    as_json: bool,
    input_shape: str | None,
    preprocess: tuple[str, ...],
    **options: Any,
) -> None:
    """Convert a trained network into a spiking one; every operation gets a verdict."""
    from spikeflow.convert import agreement, convert
    from spikeflow.ir import file
    from spikeflow.ir.preprocessing import of_text
    from spikeflow.samples import Samples, samples_of

    samples: Samples | None = samples_of(data) if data else None
    chosen: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    chosen["preprocessing"] = of_text(preprocess)
    if input_shape:
        chosen["input_shape"] = console.shape_option(input_shape)
    with console.heard() as warned, console.progress("converting") as progress:
        conversion = convert(ann, samples, progress=progress, **chosen)
    file.write(out, conversion.network)
    facts, text = conversion.report.to_json(), conversion.report.to_text()
    if samples is not None and samples.y is not None:
        few = samples.first(COMPARED)
        with console.progress("comparing with the ANN") as progress:
            found = agreement(conversion, few, progress=progress)
        facts["agreement"] = found.to_json()
        text += f"\n\nSpiking network and ANN on calibration data, held back or not: {found.to_text()}"
    facts["warnings"] = warned
    console.emit(as_json, {"out": out, **facts}, f"{text}\nWritten: {out}")
