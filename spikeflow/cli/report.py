"""``spikeflow report net.h5 --map net.map.h5 --ann ann.pt --data test.npz --out report.html``."""

from __future__ import annotations

import click

from spikeflow.cli import console, opened


@click.command("report", cls=console.Writing)
@click.argument("file", type=click.Path())
@click.option(
    "--map", "mapped", type=click.Path(), help="The same network mapped onto a chip; it is run, too."
)
@click.option("--chip", help=console.CHIP_MODULE)
@click.option(
    "--ann", type=click.Path(), help="The network before conversion; its accuracy is measured on the samples."
)
@console.ARCH
@click.option("--data", type=click.Path(), required=True, help=console.SAMPLES)
@console.LIMIT
@console.RUN_STEPS
@console.ENGINES
@console.OUTPUT
@console.SEED
@console.OUT
@console.JSON
def command(
    file: str,
    mapped: str | None,
    chip: str | None,
    ann: str | None,
    arch: str | None,
    data: str,
    limit: int | None,
    steps: int | None,
    engine: str,
    output: str,
    seed: int,
    out: str,
    as_json: bool,
) -> None:
    """Write a report on a network as one HTML page.

    It shows accuracy and spikes and, of a mapped network, its cores, traffic, energy and time.
    """
    from spikeflow.report import ReportOptions, collect, measure_ann, to_json, to_text, write_page

    network, mapping = opened.network(file), opened.mapping(mapped) if mapped else None
    samples = opened.samples(network, data).first(limit)
    if click.get_current_context().get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        network = network.with_seed(seed)
    sources = {
        "network": file,
        "samples": data,
        **({"mapping": mapped} if mapped else {}),
        **({"ANN": ann} if ann else {}),
    }
    table = opened.chip(mapping, chip) if mapping is not None else None
    options = ReportOptions(engine, steps=steps, sources=sources, chip=table, output=output)
    with console.heard() as warned, console.progress("running") as progress:
        before = measure_ann(ann, arch, samples, progress, output) if ann else None
        facts = collect(network, samples, mapping, before, options, progress)
    write_page(out, facts)
    for text in facts.warnings:
        if text not in warned:  # told when the network was mapped
            click.echo(f"warning: {text}", err=True)
            warned.append(text)
    told = {"out": out, **to_json(facts), "warnings": warned}
    console.emit(as_json, told, f"{to_text(facts)}\n\nWritten: {out}")
