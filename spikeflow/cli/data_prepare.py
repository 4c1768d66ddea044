"""``spikeflow data prepare NAME [--from PATH] [--to DIR]``."""

from __future__ import annotations

from pathlib import Path

import click

from spikeflow.cli import console, data_options


@click.command("prepare", short_help="Get a data set ready to use, or say what to fetch.")
@click.argument("name")
@click.option("--from", "source", type=click.Path(), help="Folder with the files or archives that you have.")
@click.option("--to", "target", type=click.Path(), help="Folder of data sets.  [default: SPIKEFLOW_DATA]")
@click.option("--partial", is_flag=True, help="Accept an incomplete copy.")
@click.option(
    "--synthetic",
    type=click.IntRange(1),
    metavar="N",
    help="Write a generated twin instead, N samples of each class and split.",
)
@console.SEED
@console.JSON
def command(
    name: str,
    source: str | None,
    target: str | None,
    partial: bool,
    synthetic: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Make a data set ready: adopt files that you have, unpack, download; or say exactly what to fetch.

    With --synthetic nothing is fetched: a twin of the same shapes, classes and about the same rates is
    generated.
    """
    data_options.known_data_set(name)
    if synthetic is None:
        _prepare(name, source, target, partial, as_json)
    elif source or partial:
        raise click.UsageError("--synthetic takes no files: leave out --from and --partial")
    elif target is None:
        raise click.UsageError("--synthetic needs --to, so that no generated sample lies among recorded ones")
    else:
        _synthesise(name, target, synthetic, seed, as_json)


def _prepare(name: str, source: str | None, target: str | None, partial: bool, as_json: bool) -> None:
    from spikeflow.datasets.fetch.prepare import prepare

    with console.heard() as warned, console.transfers() as progress:
        prepared = prepare(name, source, target, progress=progress, partial=partial)
    console.emit(as_json, {**prepared.to_json(), "warnings": warned}, prepared.to_text())


def _synthesise(name: str, target: str, samples: int, seed: int, as_json: bool) -> None:
    from spikeflow.datasets import synthetic
    from spikeflow.datasets.fetch.prepare import Prepared, survey
    from spikeflow.datasets.sets import catalog

    kind = catalog.dataset_class(name)
    folder = synthetic.write(kind.metadata.name, Path(target) / kind.metadata.name, samples, seed)
    done = f"generated {samples} samples of each class and split: a synthetic twin, no recording"
    prepared = Prepared(kind.metadata.name, folder, survey(kind, folder), (done,))
    console.emit(as_json, {"synthetic": True, "seed": seed, **prepared.to_json()}, prepared.to_text())
