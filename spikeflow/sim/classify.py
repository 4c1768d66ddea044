"""classify: run a network on samples as its run record says, and read the answers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import MAX_STEPS, Network, RunRecord, expect_network
from spikeflow.ir.score import doubts
from spikeflow.ir.stages import stage_of
from spikeflow.samples import Samples, fitting
from spikeflow.sim import Counts, Result, State, forecast, prepare
from spikeflow.sim.batch import DEFAULT, RunOptions, When, encode_batch, run_batch
from spikeflow.sim.checkpoint import Checkpoint, digest
from spikeflow.sim.early import Read, run_until_sure
from spikeflow.sim.evaluation import Evaluation, too_short
from spikeflow.sim.input_range import outside_warnings, share_outside, with_saturation
from spikeflow.sim.joined import given_steps, leading, parted, sample_shape, taken
from spikeflow.sim.overflow import overflow_warnings
from spikeflow.sim.result import exchanged_in
from spikeflow.sim.unbounded import Unbounded, in_run, merged, unbounded_warnings
from spikeflow.typing import Array, Progress

__all__ = ["Evaluation", "Progress", "RunOptions", "classify", "encode_batch", "read_out_level"]


def classify(
    network: Network, x: object, options: RunOptions = DEFAULT, progress: Progress | None = None
) -> Evaluation:
    """Run samples ``(N, *shape)`` through a network as its run record says; for several inputs a mapping
    by their names.

    Coding `direct` repeats each sample in every step; `rate` and `onoff` draw spikes; with `spikes` the
    samples are ``(N, T, *shape)`` already. The run is lengthened by the read-outs' level, where reading
    starts. Of several outputs `options.output` names the one that answers.

    Raises
    ------
    DataError
        Where samples do not fit the network.
    SimulationError
        Where the network has no read-out.
    """
    expect_network(network)
    found = evaluate(network, taken(network, x), options, progress, early=options.exit)
    for text in found.warnings:
        warnings.warn(text, SpikeflowWarning, stacklevel=2)
    return found


def evaluate(
    network: Network,
    given: Samples | Array,
    options: RunOptions = DEFAULT,
    progress: Progress | None = None,
    early: bool = False,
) -> Evaluation:
    """The same as `classify` for samples that are prepared (`joined.taken`), what is to be told only in
    `warnings`; samples stop early only where that is asked for.
    """
    given = given if isinstance(given, Samples) else Samples(given)
    array = _checked(network, given)
    before = _continued(network, len(array), options.start)
    steps = _steps(network.record, given_steps(network, array), options.steps, before)
    chosen = _chosen(network, options.output)
    parts = parted(network, array)
    told = _told(network, parts, given_steps(network, array), before + steps)
    told += too_short(0 if options.keep_state else network.record.read_from, before + steps)
    early, why = _early(network, options, chosen) if early else (False, ())
    told += _other_samples(network, parts, options.start) + why
    kept = _kept(options.kept, steps, network.record.read_from - before)
    at_once = forecast.samples_at_once(
        network, array, forecast.Reading(before + steps, len(kept), options.batch)
    )
    if options.keep_state:
        forecast.expect_states(network.graph, len(array), before + steps)
    when = When(steps, read_out_level(network), 0, before=before)
    asked, begun = _Asked(options, when, kept, chosen, early), time.perf_counter()
    ran = _run_all(network, list(_batches(array, at_once)), asked, progress)
    results = ran.results
    found = replace(_gather(network, results, time.perf_counter() - begun), kept=options.kept and kept)
    found = replace(found, read_from=network.record.read_from, stopped=ran.ends(), moments=sum(ran.moments))
    found = _standing(network, found, [r.state for r in results if r.after is not None], options, parts)
    if given.y is not None:
        told += doubts(given.y, found.about[chosen].answer if chosen in found.about else "")
    told += _beyond(found, ran.handed_on, [(i * at_once, r) for i, r in enumerate(results)])
    told += overflow_warnings(network.graph, found.counts, (before + steps, network.record.steps))
    outside = share_outside(network, parts)
    entered = {i.node: parts[i.node][:, before:] if i.timed else parts[i.node] for i in network.inputs}
    found = replace(found, counts=with_saturation(network, found.counts, entered, found.entered))
    return replace(found, chosen=chosen, y=given.y, outside=outside, warnings=(*given.warnings, *told))


@dataclass(frozen=True)
class _Asked:
    """What is asked of every batch."""

    options: RunOptions
    when: When
    kept: tuple[int, ...]
    chosen: str
    early: bool


@dataclass(frozen=True)
class _Ran:
    """What came of the batches."""

    results: list[Result] = field(default_factory=list)
    handed_on: list[Unbounded] = field(default_factory=list)
    stopped: list[Array] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)

    def ends(self) -> Array | None:
        """After how many steps each sample stopped; None where all ran to the end."""
        return np.concatenate(self.stopped) if self.stopped else None


def _run_all(
    network: Network, batches: list[tuple[int, Array]], asked: _Asked, progress: Progress | None
) -> _Ran:
    """Every batch, its outputs reduced to the steps that are kept."""
    how = asked.options
    runner = prepare(network.graph, how.engine, how.threads, how.ranks, lowered=how.lowered)
    ran = _Ran()
    samples = sum(len(batch) for _, batch in batches)
    for first, batch in batches:
        when = replace(asked.when, first=first)
        if asked.early:
            early = run_until_sure(runner, _taken_early(network, batch, when, asked.chosen))
            result = early.result
            ran.stopped.append(early.ends)
            ran.moments.append(early.moments)
        else:
            result, more = run_batch(network, runner, batch, asked.options, when)
            ran.handed_on.extend(more)
            ran.moments.append(result.samples * result.steps)
        ran.results.append(_reduced(network, result, asked.kept))
        if progress is not None:
            progress(first + len(batch), samples)
    return ran


def _early(network: Network, options: RunOptions, chosen: str) -> tuple[bool, tuple[str, ...]]:
    """Whether samples may stop, and what is to be told where they do not though the record has an exit."""
    if network.record.exit is None:
        return False, ()
    whole = {
        "a record": bool(options.record),
        "a state that is kept": options.keep_state,
        "a run that goes on": options.start is not None,
        "no output that answers": not chosen,
    }
    why = next((text for text, holds in whole.items() if holds), "")
    return not why, (f"no sample stops early, for there is {why}: all run to the last step",) if why else ()


def _taken_early(network: Network, batch: Array, when: When, chosen: str) -> Read:
    """One batch as `early` takes it."""
    inputs = encode_batch(network, batch, when.steps, when.level, when.first)
    named = inputs if isinstance(inputs, Mapping) else {network.graph.inputs[0]: inputs}
    levels = {o.node: _level(network.graph, o.node) for o in network.outputs}
    spiking = frozenset(o.name for o in network.outputs if _spikes(network.graph, o.node))
    return Read(network, named, when.steps, levels, chosen, spiking, when.first)


def _continued(network: Network, samples: int, start: Checkpoint | None) -> int:
    """The steps behind the samples, 0 without a checkpoint, which must be one of this network, seed and
    number.
    """
    if start is None:
        return 0
    start.state.check(network.graph)
    if start.state.rows != samples:
        raise DataError("data", f"{samples} samples", f"{start.state.rows}, as many as the saved state has")
    seed = network.record.seed
    if start.seed != seed and any(not i.timed and i.coding != "direct" for i in network.inputs):
        raise DataError("seed", seed, f"{start.seed}, of the run that goes on", f"--seed {start.seed}")
    return start.steps


def _entered(network: Network, parts: Mapping[str, Array], steps: int) -> dict[str, Array]:
    """What enters in so many steps."""
    return {i.node: parts[i.node][:, :steps] if i.timed else parts[i.node] for i in network.inputs}


def _other_samples(network: Network, parts: Mapping[str, Array], start: Checkpoint | None) -> tuple[str, ...]:
    """What is to be told where a run goes on with samples that are not those of its first steps."""
    known = "" if start is None else start.samples
    if start is None or not known or digest(_entered(network, parts, start.steps)) == known:
        return ()
    text = f"the run goes on behind {start.steps} steps of other samples, or of these in another order"
    return (f"{text}: every answer is of both. Try: the samples that the state was saved with",)


def _standing(
    network: Network,
    found: Evaluation,
    states: list[State],
    options: RunOptions,
    parts: Mapping[str, Array],
) -> Evaluation:
    """The evaluation with what lay before it, and where it is kept the checkpoint behind it."""
    start, first = options.start, network.record.read_from
    if start is not None:
        found = replace(found, before=start.steps, added=start.added, behind=start.behind)
        if 0 < first <= start.steps and set(start.behind) != set(found.outputs):
            got = f"a run that goes on behind step {first}, from which on answers are read"
            raise DataError("checkpoint", got, "what outputs had added up then", "a run from the beginning")
    if not states:
        return found
    added = {name: found.added_up(found.steps, name) for name in found.spiking}
    behind = found.behind
    if found.before < first <= found.before + found.steps:
        behind = {name: found.added_up(first - found.before, name) for name in found.outputs}
    samples = digest(_entered(network, parts, found.before + found.steps))
    state, seed = State.joined(states), network.record.seed
    return replace(found, checkpoint=Checkpoint(state, added, seed, behind, samples))


def _kept(wanted: tuple[int, ...], steps: int, first: int) -> tuple[int, ...]:
    """The steps after which outputs are kept, in order; with them `first`, from which answers are read."""
    if not wanted:
        return tuple(range(1, steps + 1))
    if sorted(set(wanted)) != list(wanted) or not 1 <= wanted[0] <= wanted[-1] == steps:
        raise DataError("kept steps", wanted, f"ascending steps from 1, the last of them {steps}")
    return tuple(sorted({*wanted, first})) if 0 < first < steps else wanted


def _reduced(network: Network, result: Result, kept: tuple[int, ...]) -> Result:
    """The outputs from the step on at which their read-out wakes, after the kept steps alone, by name of
    the output.
    """
    graph, outputs = network.graph, {}
    for o in network.outputs:
        values = result.outputs[o.node][_level(graph, o.node) :]
        if len(kept) < kept[-1]:
            at = np.asarray(kept)
            # spikes are added up between two moments, so that the sum up to a moment stays the same
            values = (
                np.add.reduceat(values[: kept[-1]], np.concatenate([[0], at[:-1]]), axis=0)
                if _spikes(graph, o.node)
                else values[at - 1]
            )
        outputs[o.name] = values[: len(kept)]
    return replace(result, outputs=outputs)


def _gather(network: Network, results: list[Result], seconds: float) -> Evaluation:
    graph = network.graph
    outputs = {o.name: np.concatenate([r.outputs[o.name] for r in results], axis=1) for o in network.outputs}
    counts = {n: _add([r.counts[n] for r in results]) for n in results[0].counts}
    recorded = {n: tuple(r.recorded[n] for r in results) for n in results[0].recorded}
    known = {o.node for o in network.record.outputs}
    about = {o.name: o for o in network.outputs if o.node in known or stage_of(graph) != "fixed"}
    spiking = frozenset(o.name for o in network.outputs if _spikes(graph, o.node))
    spoken = exchanged_in(results)
    return Evaluation(outputs, counts, recorded, seconds, about, spiking=spiking, exchanged=spoken)


def _chosen(network: Network, wanted: str) -> str:
    """The name of the output that answers: as wanted, the only one, or the one that the run record reads
    out.
    """
    outputs = network.outputs
    if wanted:
        found = [o.name for o in outputs if wanted in (o.name, o.node)]
        if not found:
            raise DataError("output", repr(wanted), f"one of {', '.join(o.name for o in outputs)}")
        return found[0]
    if len(outputs) == 1:
        return outputs[0].name
    read = (
        {e.dst for e in network.graph.outputs_of(network.record.readout)} if network.record.readout else set()
    )
    return next((o.name for o in outputs if o.node in read), "")


def _told(network: Network, parts: Mapping[str, Array], brought: int | None, steps: int) -> tuple[str, ...]:
    found = outside_warnings(network, parts)
    if brought is not None and brought > steps:
        text = f"the samples have {brought} steps, of which the first {steps} are run. Try: --steps {brought}"
        return (*found, text)
    return found


def _beyond(
    found: Evaluation, handed_on: list[Unbounded], results: list[tuple[int, Result]]
) -> tuple[str, ...]:
    """What is to be told of float32: values that left it, and outputs that are zeros with a sign.

    Of a state that was recorded the record tells more.
    """
    samples = [*handed_on, *(u.later(samples=n) for n, r in results for u in r.beyond())]
    recorded = {u.name for u in samples}
    samples += [u.later(samples=n) for n, r in results for u in r.unbounded if u.name not in recorded]
    moments = [replace(u, step=found.kept[u.step] - 1) if found.kept else u for u in in_run(found.outputs)]
    texts = list(unbounded_warnings((*merged(samples), *moments)))
    for name, values in found.outputs.items():
        signed = int(np.count_nonzero(np.signbit(values) & (values == 0))) if values.dtype.kind == "f" else 0
        if signed:
            texts.append(f"{name}: {signed} of {values.size} values are -0, which is taken for 0")
    return tuple(texts)


def _add(parts: list[Counts]) -> Counts:
    return sum(parts[1:], start=parts[0])


def _batches(x: Array, size: int) -> Iterator[tuple[int, Array]]:
    for first in range(0, len(x), size):
        yield first, x[first : first + size]


def _checked(network: Network, given: Samples) -> Array:
    x, shape = given.x, sample_shape(network)
    if leading(network) == 1:
        return fitting(given, shape) if shape else x
    if x.ndim < 2 or x.shape[1] == 0 or (shape and x.shape[2:] != shape):
        wanted = ", ".join(map(str, shape)) if shape else "..."
        raise DataError("data: x", f"shape {x.shape}", f"(samples, steps, {wanted})", _way(x.shape, shape))
    return x


def _way(given: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """How samples of this shape may come to hold moments of another behind their steps."""
    if len(given) < 2 + len(shape) or 0 in given[:2]:
        return "a time axis behind the first"
    if given[1:-1] == shape:
        order = ", ".join(map(str, (0, len(given) - 1, *range(1, len(given) - 1))))
        return f"x.transpose({order}): steps come second"
    return "recordings of the sensor, or channels, that trained the network"


def _steps(record: RunRecord, brought: int | None, wanted: int | None, before: int) -> int:
    steps = record.steps if wanted is None else wanted
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or not 1 <= steps <= MAX_STEPS:
        raise DataError("steps", steps, f"a whole number, 1 to {MAX_STEPS}")
    if brought is not None and brought < before + steps:
        whole = (
            f"{before + steps}, those of the whole run: {before} of them are done" if before else f"{steps}"
        )
        raise DataError("data", f"{brought} steps", whole, f"--steps {max(brought - before, 1)}")
    return int(steps)


def read_out_level(network: Network) -> int:
    """The step at which the last of the read-outs wakes; each output is read from the step its own wakes.

    Raises
    ------
    SimulationError
        Where the network has no read-out.
    """
    record, nodes = network.record, network.graph.nodes
    if not record.outputs and not isinstance(nodes.get(record.readout), Population):
        raise SimulationError(
            "the network",
            "its run record names no population to read out",
            "sim.run, which gives every output as it is",
        )
    return max(_level(network.graph, name) for name in network.graph.outputs)


def _level(graph: Graph, output: str) -> int:
    """The step at which the populations that an output reads wake."""
    return max((node.start for node in _read(graph, output)), default=0)


def _spikes(graph: Graph, output: str) -> bool:
    """Whether an output hands on spikes, not what a read-out has added up."""
    found = _read(graph, output)
    return bool(found) and all(node.spikes for node in found)


def _read(graph: Graph, output: str) -> list[Population]:
    """The populations that an output reads, through whatever joins or moves their values."""
    found, todo, seen = [], [output], {output}
    while todo:
        for edge in graph.inputs_of(todo.pop()):
            node = graph.nodes[edge.src]
            if isinstance(node, Population):
                found.append(node)
            elif edge.src not in seen:
                seen.add(edge.src)
                todo.append(edge.src)
    return found
