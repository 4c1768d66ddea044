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
@click.option(
    "--save-state",
    type=console.OutputPath(dir_okay=False),
    help="File to write: where every sample stands, so that another run can go on (.h5).",
)
@click.option(
    "--load-state",
    type=click.Path(),
    help="Go on from such a file for so many --steps; data with a time axis are those of the whole run.",
)
@console.SEED
@console.JSON
def command(file: str, data: str, as_json: bool, seed: int, **options: Any) -> None:
    """Run a network: accuracy or error, rates, synaptic operations, time."""
    limit, out, save, load = (options.pop(name) for name in ("limit", "out", "save_state", "load_state"))
    from spikeflow.sim.checkpoint import Checkpoint
    from spikeflow.sim.classify import RunOptions, classify
    from spikeflow.sim.save import write_answers
    from spikeflow.sim.summary import reading_points, summarise

    network = opened.network(file)
    samples = opened.samples(network, data).first(limit)
    if click.get_current_context().get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        network = network.with_seed(seed)
    options["kept"] = reading_points(options["steps"] or network.record.steps)
    options["start"] = Checkpoint.load(load) if load else None
    with console.heard() as warned, console.progress("running") as progress:
        evaluation = classify(network, samples, RunOptions(**options, keep_state=bool(save)), progress)
    summary = summarise(network, evaluation, samples.y)
    if out:
        write_answers(out, evaluation)
    if save and evaluation.checkpoint is not None:
        evaluation.checkpoint.save(save)
    made = network.graph.integers
    integers = {} if made is None else {"integers": {"chip": made.chip, "origin": made.origin}}
    went_on = {"before": evaluation.before, "load_state": load} if load else {}
    facts = {"file": file, "engine": options["engine"], **integers, **went_on, **summary.to_json()}
    told = (
        []
        if made is None
        else [f"integers for {made.chip}, made from the network {made.origin or 'unknown'}"]
    )
    told += [f"goes on behind step {evaluation.before} of {load}"] if load else []
    written = [f"Written: {path}" for path in (out, save) if path]
    console.emit(as_json, {**facts, "warnings": warned}, "\n".join([*told, summary.to_text(), *written]))
