"""The report as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from spikeflow.report import words
from spikeflow.report.network.facts import (
    CoreFacts,
    CostFacts,
    LayerFacts,
    MappedFacts,
    NetworkFacts,
    RasterFacts,
    ReportFacts,
)
from spikeflow.report.network.verdict import energies, verdict
from spikeflow.report.network.verdicts import tables

Row = Sequence[str]


def to_json(facts: ReportFacts) -> dict[str, Any]:
    """All facts as plain data, and the verdict in words."""
    found = asdict(replace(facts, mapped=None))
    if facts.mapped is not None:
        found["mapped"] = _mapped_json(facts.mapped)
    return {"verdict": verdict(facts), **found}


def _mapped_json(mapped: MappedFacts) -> dict[str, Any]:
    report, loss = mapped.report, mapped.report.loss
    names = ("chip", "title", "chips", "cores_available", "neurons", "synapses")
    return {
        **{name: getattr(report, name) for name in names},
        "cores": [_core_json(core) for core in mapped.cores],
        "mesh": asdict(mapped.mesh),
        "run": asdict(mapped.run),
        "agreement": asdict(mapped.agreement),
        "layers": [asdict(layer) for layer in mapped.layers],
        "costs": [asdict(cost) for cost in mapped.costs],
        "assumed": mapped.assumed,
        "notes": report.notes,
        "origin": report.origin,
        "loss": None if loss is None else loss.to_json(),
        "warnings": mapped.warnings,
    }


def _core_json(core: CoreFacts) -> dict[str, Any]:
    on = core.report
    return {
        "core": core.core,
        **{name: getattr(on, name) for name in ("chip", "x", "y", "slot")},
        "column": core.column,
        "row": core.row,
        "holds": core.holds,
        "uses": [asdict(use) for use in core.uses],
        **{name: getattr(on, name) for name in ("operations", "spikes", "received")},
    }


def to_text(facts: ReportFacts) -> str:
    """All facts for people, one section after the other."""
    sections = [
        _head(facts),
        _accuracy(facts),
        _layers("Layers", facts.layers),
        _raster(facts),
        conversion_lines(facts.conversion),
    ]
    if facts.mapped is not None:
        sections += [
            _mapped(facts.mapped),
            _layers("Layers as mapped", facts.mapped.layers),
            _cores(facts.mapped),
            _links(facts.mapped),
        ]
    sections.append(_costs(facts.costs, energies(facts)))
    return "\n\n".join(
        "\n".join(_one_line(line) for line in section) for section in map(list, sections) if section
    )


def columns(title: str, head: Row, rows: Sequence[Row], left: int = 1) -> Iterator[str]:
    """A table: the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    yield title
    for row in (head, *rows):
        cells = (
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join(cells).rstrip()


def _one_line(text: str) -> str:
    # a name from a file must not be able to forge a line, nor reach the terminal's controls
    return "".join(c if c.isprintable() else " " for c in text)


def _head(facts: ReportFacts) -> Iterator[str]:
    network = facts.network
    yield verdict(facts)
    yield from (f"warning: {text}" for text in facts.warnings)
    yield f"spikeflow {facts.made.version} report, {facts.made.date}, engine {facts.made.engine}"
    yield from (f"  {what}: {path}" for what, path in facts.made.sources.items())
    yield (
        f"network {network.digest}, stage {network.stage}: {network.nodes} nodes, {network.edges} edges, "
        f"{network.neurons:,} neurons, {network.synapses:,} synapses stored, {network.connections:,} "
        "connections"
    )
    yield from (f"  {name}: {value}" for name, value in record_lines(network))


def record_lines(network: NetworkFacts) -> Iterator[tuple[str, str]]:
    """The run record, a name and a value each; the conversion's long note is told apart."""
    yield "steps", f"{network.steps} of {network.dt_s:g} s"
    drawn = network.coding in ("rate", "onoff")
    yield "coding", network.coding + (f", scale {network.scale:g}, seed {network.seed}" if drawn else "")
    yield "read out at", network.readout or "nowhere"
    if network.input_shape:
        yield "sample", words.shape(network.input_shape)
    if network.labels:
        yield "labels", ", ".join(network.labels[:20]) + (", ..." if len(network.labels) > 20 else "")
    yield from ((name, value) for name, value in sorted(network.notes.items()) if name != "conversion")


def _accuracy(facts: ReportFacts) -> Iterator[str]:
    yield f"Answers to {facts.run.samples:,} samples"
    if facts.ann is not None:
        yield f"  ANN: accuracy {words.accuracy(facts.ann.accuracy, facts.ann.samples)}, {facts.ann.source}"
    for run in facts.runs:
        yield f"  {run.title} ({run.stage}), {run.steps} steps: {words.answered(run)}"
        told = [
            t for t in (*run.accuracy_over_steps, *run.rmse_over_steps) if t & (t - 1) == 0 or t == run.steps
        ]
        if told:
            yield f"    by steps, {words.over_steps(run)}: " + ", ".join(
                f"{t}: {words.at(run, t)}" for t in told
            )
        if run.exit is not None:
            yield f"    {run.exit}"
        if run.tied:
            yield f"    undecided (tied): {words.percent(run.tied)}"
        yield (
            f"    {words.count(run.synaptic_operations)} synaptic operations a sample "
            f"({words.count(run.computed_operations)} computed; a constant input is computed once), "
            f"{words.count(run.neuron_updates)} neuron updates, {run.seconds:.2f} s in all on this computer"
        )


def _layers(title: str, layers: Sequence[LayerFacts]) -> Iterator[str]:
    head = ("node", "kind", "shape", "neurons", "synapses", "threshold", "rate", "acc", "mac", "overflow")
    rows = [
        (
            f.node,
            f.kind,
            words.shape(f.shape),
            words.count(f.neurons) if f.neurons else "",
            words.count(f.synapses) if f.synapses else "",
            words.spread(f.threshold),
            words.rate(f.rate),
            words.count(f.accumulates),
            words.count(f.multiply_accumulates),
            words.overflow(dict(f.overflow)),
        )
        for f in layers
    ]
    yield from columns(
        f"{title} (a sample; threshold: smallest / median / largest; rate: spikes a neuron and step)",
        head,
        rows,
        left=3,
    )


def _raster(facts: ReportFacts) -> Iterator[str]:
    if facts.raster:
        told = ", ".join(f"{name} {value}" for name, value in facts.sample.items())
        yield f"Spikes of some neurons ({told}); the page draws them"
        yield from (f"  {words.shown(raster)}: {_spikes(raster)} spikes" for raster in facts.raster)


def _spikes(raster: RasterFacts) -> int:
    return sum(len(row.steps) for row in raster.rows)


def conversion_lines(conversion: Mapping[str, Any]) -> Iterator[str]:
    """What a conversion said of itself, as tables."""
    for table in tables(conversion):
        yield from columns(f"Conversion: {table.title}", table.columns, table.rows)


def _mapped(mapped: MappedFacts) -> Iterator[str]:
    report = mapped.report
    yield (
        f"Mapped onto {report.title} ({report.chip}): {len(mapped.cores)} of {report.cores_available} "
        f"cores on {report.chips} chip(s), {report.neurons:,} neurons, {report.synapses:,} synapses"
    )
    yield f"  made from the network {report.origin}" if report.origin else "  origin unknown"
    yield f"  answers as the unmapped network: {words.agreement(mapped)}"
    if report.loss is not None:
        yield from (f"  when it was mapped: {line}" for line in report.loss.to_text().splitlines())
    yield f"  values that overflow changed, over the whole run: {mapped.overflowed:,}"
    yield from (f"  {note}" for note in report.notes)
    yield from (f"  assumed: {value}" for value in mapped.assumed)


def _cores(mapped: MappedFacts) -> Iterator[str]:
    names = [use.resource for use in mapped.cores[0].uses] if mapped.cores else []
    rows = [
        (
            str(c.core),
            f"{c.report.chip}:{c.report.x},{c.report.y}.{c.report.slot}",
            c.holds,
            *(f"{words.count(u.used)} / {words.count(u.limit)}" for u in c.uses),
            words.count(c.report.operations),
        )
        for c in mapped.cores
    ]
    yield from columns(
        "Cores (used / limit; synaptic operations a step)",
        ("core", "chip:x,y.slot", "holds", *names, "operations"),
        rows,
        left=3,
    )


def _links(mapped: MappedFacts) -> Iterator[str]:
    if not mapped.mesh.links:
        yield "Traffic: none between routers, all cores share one"
        return
    rows = [(f"{a.source} -> {a.target}".replace(", ", ","), f"{a.load:.4g}") for a in mapped.mesh.busiest()]
    title = (
        f"Traffic: the busiest of {len(mapped.mesh.links)} links that carry messages ({mapped.mesh.measured})"
    )
    yield from columns(title, ("link", "messages a step"), rows)


def _costs(costs: Sequence[CostFacts], compared: str) -> Iterator[str]:
    yield "Energy and time of a sample"
    if compared:
        yield f"  {compared}"
    for cost in costs:
        yield f"  {cost.title}: {words.energy(cost)}, {words.time(cost)}"
        for line in cost.lines:
            mark = f" [{line.mark}]" if line.mark and line.each is not None else ""
            source = f" ({line.source})" if line.source else ""
            yield f"    {words.count(line.count)} {line.what}: {words.constant(line)}{mark}{source}"
        yield from (f"    {note}" for note in cost.notes)
