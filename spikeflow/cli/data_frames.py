"""``spikeflow data frames NAME --out x.npz``."""

from __future__ import annotations

from typing import Any

import click

from spikeflow.cli import console, data_options


@click.command(
    "frames", cls=console.Writing, short_help="Write samples as frames that convert, run and map take."
)
@click.argument("name")
@console.OUT
@click.option("--data", type=click.Path(), help="Folder that holds the data set.  [default: SPIKEFLOW_DATA]")
@click.option("--split", default="train", show_default=True, help="Split of the data set.")
@click.option("--dt-us", type=click.IntRange(1), help="Microseconds of a step, counted from time 0.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Number of steps; without --dt-us each sample is cut into so many equal ones.",
)
@click.option("--clip", is_flag=True, help="At most one spike a step and pixel.")
@click.option("--count", type=click.IntRange(1), help="Number of samples, drawn by --seed; without it all.")
@click.option("--partial", is_flag=True, help="Accept an incomplete copy.")
@console.SEED
@console.JSON
def command(name: str, out: str, as_json: bool, **options: Any) -> None:
    """Write samples of a data set as frames, in a .npz file that convert, run and map take.

    Its x (N, steps, 2, height, width) counts events, off before on; its y holds the labels.
    """
    if options["dt_us"] is None and options["steps"] is None:
        raise click.UsageError("how long is a step? --dt-us, --steps, or both")
    data_options.known_data_set(name)
    from spikeflow.datasets.loading.export import to_samples, write_samples
    from spikeflow.datasets.sets import catalog
    from spikeflow.ir.binning import Binning

    with console.heard() as warned:
        data = catalog.load(
            name, options["data"] or catalog.data_folder(), options["split"], options["partial"]
        )
    data = _drawn(data, options["count"], options["seed"])
    start = "zero" if options["dt_us"] else "first"
    binning = Binning(options["dt_us"], options["steps"], start=start, clip=options["clip"])
    with console.progress("reading") as progress:
        samples = to_samples(data, binning, progress=progress)
    write_samples(out, samples)
    facts = {
        "out": out,
        "shape": list(samples.x.shape),
        "events": float(samples.x.sum()),
        **data.facts(),
        "warnings": warned,
    }
    shape = "x".join(str(n) for n in samples.x.shape)
    console.emit(as_json, facts, f"{len(data):,} samples of {data.metadata.title}, {shape}\nWritten: {out}")


def _drawn(data: Any, count: int | None, seed: int) -> Any:
    import numpy as np

    if count is None or count >= len(data):
        return data
    return data.subset(np.sort(np.random.default_rng(seed).permutation(len(data))[:count]))
