"""``spikeflow run net.h5 --data test.npz``: a network, or a mapped one, on samples."""

from __future__ import annotations

from typing import Any

import click

from spikeflow.cli import console, opened


@click.command("run", cls=console.Writing)
@click.argument("file", type=click.Path())
@click.option("--data", type=click.Path(), required=True, help=console.SAMPLES)
@click.option("--engine", type=click.Choice(["cpp", "reference"]), default="cpp", show_default=True)
@click.option("--steps", type=click.IntRange(1), default=None, help="Other than recorded in the file.")
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="0 takes all cores; results do not depend on it."
)
@click.option("--limit", type=click.IntRange(1), default=None, help="Only the first so many samples.")
@click.option("--output", default="", help="The output that answers, by its name, where there are several.")
@click.option(
    "--out",
    type=console.OutputPath(dir_okay=False),
    help="File to write: predictions and outputs of every sample (.npz).",
)
@console.SEED
@console.JSON
def command(
    file: str, data: str, limit: int | None, out: str | None, as_json: bool, seed: int, **options: Any
) -> None:
    """Run a network: accuracy or error, rates, synaptic operations, time."""
    from spikeflow.sim.classify import RunOptions, classify
    from spikeflow.sim.save import write_answers
    from spikeflow.sim.summary import reading_points, summarise

    network = opened.network(file)
    samples = opened.samples(network, data).first(limit)
    if click.get_current_context().get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        network = network.with_seed(seed)
    kept = reading_points(options["steps"] or network.record.steps)
    with console.heard() as warned, console.progress("running") as progress:
        evaluation = classify(network, samples, RunOptions(**options, kept=kept), progress)
    summary = summarise(network, evaluation, samples.y)
    if out:
        write_answers(out, evaluation)
    made = network.graph.integers
    integers = {} if made is None else {"integers": {"chip": made.chip, "origin": made.origin}}
    facts = {"file": file, "engine": options["engine"], **integers, **summary.to_json(), "warnings": warned}
    told = (
        []
        if made is None
        else [f"integers for {made.chip}, made from the network {made.origin or 'unknown'}"]
    )
    console.emit(as_json, facts, "\n".join([*told, summary.to_text(), *([f"Written: {out}"] if out else [])]))
