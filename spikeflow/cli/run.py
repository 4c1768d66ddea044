"""``spikeflow run net.h5 --data test.npz``: a network, or a mapped one, on samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeflow.cli import console, opened, over_ranks, recordings

if TYPE_CHECKING:
    from spikeflow.ir.record import Network
    from spikeflow.sim.evaluation import Evaluation


@click.command("run", cls=console.Writing)
@click.argument("file", type=click.Path())
@click.option("--data", type=click.Path(), required=True, help=console.SAMPLES)
@console.ENGINES
@console.RUN_STEPS
@click.option(
    "--threads", type=click.IntRange(0), default=0, help="0 takes all cores. Results do not depend on it."
)
@over_ranks.RANKS
@click.option(
    "--exit/--no-exit",
    default=True,
    show_default=True,
    help="Let samples stop early where the network says when, or run every one to the last step.",
)
@console.LIMIT
@console.OUTPUT
@click.option(
    "--out",
    type=console.OutputPath(dir_okay=False),
    help="File to write, with predictions and outputs of every sample (.npz).",
)
@click.option(
    "--save-state",
    type=console.OutputPath(dir_okay=False),
    help="File to write, with the state of every sample, from which another run can go on (.h5).",
)
@click.option(
    "--record",
    metavar="NAME",
    multiple=True,
    help="Keep what a node does in every step: its spikes (layer), a state (layer.v), or what arrives at a "
    "port (layer.in); of some neurons as layer.v[0:100] or layer.v[3,8], in every 10th step as "
    "layer.v[0:100]@10. May be given several times, with --record-out.",
)
@click.option(
    "--record-out",
    type=console.OutputPath(dir_okay=False),
    help="File to write, with what --record names; spikeflow.read_records reads it (.h5).",
)
@click.option(
    "--digest",
    is_flag=True,
    help="Print a SHA-256 of outputs and records: equal for runs that agree in every bit.",
)
@click.option(
    "--lowered",
    type=console.OutputPath(dir_okay=False),
    help="File that keeps the network's synapses as the engine holds them, for a quick start: written where "
    "it is missing, mapped into memory where it is there.",
)
@click.option(
    "--load-state",
    type=click.Path(),
    help="File of --save-state to go on from, for --steps more. Data with a time axis are those of the "
    "whole run.",
)
@console.SEED
@console.JSON
def command(file: str, data: str, as_json: bool, seed: int, **options: Any) -> None:
    """Run a network on samples.

    FILE is what convert or map wrote. Printed are accuracy or error, spike rates, synaptic operations and
    time.
    """
    limit, out, save, load = (options.pop(name) for name in ("limit", "out", "save_state", "load_state"))
    record_out, digest = options.pop("record_out"), options.pop("digest")
    options["ranks"], leads = over_ranks.asked(options["ranks"])
    if bool(options["record"]) != bool(record_out):
        raise click.UsageError("--record NAME and --record-out FILE belong together.")
    from spikeflow.sim.checkpoint import Checkpoint
    from spikeflow.sim.classify import RunOptions, classify
    from spikeflow.sim.records import from_text
    from spikeflow.sim.save import write_answers
    from spikeflow.sim.summary import reading_points, summarise

    network = opened.network(file)
    samples = opened.samples(network, data).first(limit)
    if click.get_current_context().get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        network = network.with_seed(seed)
    options["kept"] = reading_points(options["steps"] or network.record.steps)
    with console.heard() as of_names:
        options["record"] = tuple(from_text(text, network.graph) for text in options["record"])
    options["start"] = Checkpoint.load(load) if load else None
    written = [path for path in (out, save, record_out) if path]
    written += _keep(network.graph, options)
    recording = over_ranks.recording(record_out, leads, options["record"])
    with recording as sink, console.heard() as warned, console.progress("running") as progress:
        asked = RunOptions(**options, keep_state=bool(save), sink=sink)
        evaluation = classify(network, samples, asked, progress)
    if not leads:
        return
    summary = summarise(network, evaluation, samples.y)
    if out:
        write_answers(out, evaluation, samples.names)
    if save and evaluation.checkpoint is not None:
        evaluation.checkpoint.save(save)
    facts, told = _facts(network, evaluation, recordings.answered(network, samples, evaluation), load)
    of_run = {"digest": _digest(evaluation.outputs, record_out)} if digest else {}
    facts = {"file": file, "engine": options["engine"], **facts, **of_run, **summary.to_json()}
    lines = [*told, *(f"digest: {text}" for text in of_run.values()), summary.to_text()]
    lines += [f"Written: {path}" for path in written]
    console.emit(as_json, {**facts, "warnings": [*of_names, *warned]}, "\n".join(lines))


def _facts(
    network: Network, evaluation: Evaluation, named: dict[str, Any], load: str | None
) -> tuple[dict[str, Any], list[str]]:
    """What is told beside the summary, where there is any: as data, and as lines."""
    facts, told = dict[str, Any](), list[str]()
    if (made := network.graph.integers) is not None:
        facts["integers"] = {"chip": made.chip, "origin": made.origin}
        told.append(f"integers for {made.chip}, made from the network {made.origin or 'unknown'}")
    if load:
        facts |= {"before": evaluation.before, "load_state": load}
        told.append(f"goes on behind step {evaluation.before} of {load}")
    if named:
        facts["answers"] = named
        told += recordings.listed(named)
    if evaluation.exchanged is not None:
        facts["exchanged"] = asdict(evaluation.exchanged)
        told.append(str(evaluation.exchanged))
    return facts, told


def _digest(outputs: Mapping[str, Any], record_out: str | None) -> str:
    """Of outputs and of what was recorded to a file."""
    from spikeflow.sim.digest import digest_of
    from spikeflow.sim.record_file import read_records

    recorded = read_records(record_out) if record_out else {}
    found = {f"output {name}": values for name, values in outputs.items()}
    return digest_of(found | {f"record {name}": values for name, values in recorded.items()})


def _keep(graph: Any, options: dict[str, Any]) -> list[str]:
    """Make the file of the lowered network where it is asked for and missing; what was written."""
    path = options["lowered"]
    if not path or Path(path).exists():
        return []
    from spikeflow.sim import keep_lowered

    if options["engine"] == "cpp" and options["ranks"] == 1:  # others refuse such files
        keep_lowered(graph, path, options["threads"])
    return [path]
