"""Samples of a network as every pass takes them: prepared as its run record says, and of several inputs
joined in one array.

So samples are cut into batches, split and hashed as for one input; only where a run begins are they parted
again.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.events import Events
from spikeflow.files import npz
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.preprocessing import FIRST, First, MelSpikes, Normalise, applied
from spikeflow.ir.record import Network
from spikeflow.samples import BYTES, FLOAT32, MAX_BYTES, Samples, by_input, gathered, samples_of
from spikeflow.sound import Sound
from spikeflow.typing import Array

RECORDINGS = (Events, Sound)
# beyond these, normalised samples are told: their spread, their largest, and how far their means lie from 0
LEAST, MOST, ASIDE = 0.03, 50.0, 5.0
SEEN = 256  # samples that are looked at for that


def taken(network: Network, given: object) -> Samples:
    """The samples of a network: whatever ``samples.samples_of`` takes, and for several inputs a mapping by
    their names.

    The preprocessing of the run record is done here, once: `Samples` that are prepared are taken as they are.
    Where it begins with `Frames` or `MelSpikes`, samples are recordings (`Events`, `Sound`), a sequence of
    them, or a data set of pairs (recording, label); an array is taken for what was made of them before.

    For several inputs `x` is ``(N, values)``, all values of the first input in C order, then those of the
    next; where every input has a time axis ``(N, T, values)``. An array of this form is taken as it is where
    nothing is to be prepared, and a `.npz` file that holds one array for each input, by its name, and where
    known y.

    Raises
    ------
    DataError
        Where inputs are missing, or of different numbers of samples or steps, or of wrong shapes.
    """
    names = network.graph.inputs
    if not names:
        raise DataError("data", "samples", "none, as the network has no Input", "sim.run(graph, {}, steps)")
    if isinstance(given, Samples) and given.prepared:
        return given
    if isinstance(given, Mapping):
        return _joined(network, given)
    if isinstance(given, Samples) and given.parts:
        return replace(_joined(network, by_input(given)), y=given.y)
    if len(names) == 1:
        return prepared(network.inputs[0], given)
    if isinstance(given, str | os.PathLike) and str(given).endswith(".npz"):
        return _of_file(network, given)
    found = samples_of(given)
    if not _fits(network, found.x) or any(described.preprocessing for described in network.inputs):
        got = f"samples of one input, shape {found.x.shape}"
        raise DataError("data", got, f"a mapping with {', '.join(names)}", "{name: samples, ...}")
    return replace(found, prepared=True)


def prepared(described: InputRecord, given: object) -> Samples:
    """Samples of one input after its preprocessing, whatever `taken` takes for it."""
    steps = described.preprocessing
    first = steps[0] if steps and isinstance(steps[0], FIRST) else None
    recordings = None if first is None else _recordings(given)
    found = samples_of(given) if first is None or recordings is None else made(recordings, first)
    if not steps:
        return replace(found, prepared=True)
    scaled = any(isinstance(step, Normalise) for step in steps)
    told = tuple(text for text in found.warnings if not (scaled and text.startswith(BYTES)))
    lead = 2 if described.timed else 1
    x = applied(steps, found.x, lead)
    if scaled and first is None and (text := _unlikely(x, lead)):  # frames of events may be sparse
        told = (*told, text)
    return replace(found, x=x, warnings=told, prepared=True)


def _unlikely(x: Array, lead: int) -> str:
    """What is told of samples that no normalisation makes of those it is meant for: they were normalised
    before, or are in another unit. Empty where nothing tells.
    """
    if x.ndim <= lead or not x.size:
        return ""
    few = x[:SEEN]
    channels = np.moveaxis(few, lead, 0).reshape(few.shape[lead], -1)
    spread = float(channels.std(1).mean())
    largest, middle = float(np.abs(channels).max()), float(np.abs(channels.mean(1)).mean())
    if not 1e-5 < spread < LEAST and largest <= MOST and middle <= ASIDE:
        return ""
    found = f"spread {spread:.2g} about {middle:.2g}, up to {largest:.2g}"
    return (
        f"after normalising the samples {found}, where about 1 is what it is for: they may have been "
        "normalised before, or be in another unit. Try: samples as those that trained the network"
    )


def _recordings(given: Any) -> Iterable[Any] | None:
    """Recordings, or pairs (recording, label); None where something else was given."""
    if isinstance(given, RECORDINGS):
        return [given]
    sized = (
        hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, str | Mapping)
    )
    if not sized or len(given) == 0 or isinstance(given, np.ndarray):
        return None
    first = given[0]
    if isinstance(first, Sequence) and len(first) and not isinstance(first, RECORDINGS):
        first = first[0]
    return (given[i] for i in range(len(given))) if isinstance(first, RECORDINGS) else None


def made(items: Iterable[Any], step: First, names: Sequence[object] = ()) -> Samples:
    """Arrays of recordings, or of pairs (recording, label), with what the step warned of.

    Raises
    ------
    DataError
        As the step does, with the name of the recording, or its number.
    """
    missed: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpikeflowWarning)
        found = gathered(_each(items, step, names, missed), single=True)
    told = dict.fromkeys(str(w.message) for w in caught)
    if missed:
        told[f"{len(missed)} of {len(found.x)} recordings do not fit the steps, such as {missed[0]}"] = None
    return replace(found, warnings=(*found.warnings, *told), names=tuple(map(str, names)))


def _missed(step: First, events: Events) -> str:
    """What is told of events most of which the steps do not see, or see at one moment; else empty."""
    if isinstance(step, MelSpikes) or not len(events):
        return ""
    first, stop = step.ranges(events)
    full = stop > first
    seen = int(stop[full].max() - first[full].min()) if full.any() else 0  # steps may overlap
    span = f"; it lasts from {int(events.t[0])} to {int(events.t[-1])} us"
    if 2 * seen < len(events):
        return f"{seen} of its {len(events)} events fall into them{span}"
    if len(first) > 1 and len(events) > 1 and full.sum() == 1:
        return f"all its {seen} events fall into one of {len(first)}{span}"
    return ""


def _each(items: Iterable[Any], step: First, names: Sequence[object], missed: list[str]) -> Iterable[Any]:
    wanted = Sound if isinstance(step, MelSpikes) else Events
    make: Any = step
    for number, item in enumerate(items):
        name = names[number] if names else f"recording {number}"
        recording, rest = (item, ()) if isinstance(item, RECORDINGS) else (item[0], item[1:])
        if not isinstance(recording, wanted):
            raise DataError(f"{name}", f"a {type(recording).__name__}", f"{wanted.__name__}, for {step}")
        try:
            array = make(recording)
        except DataError as error:
            text = f"{name}: {error.what}"
            raise DataError(text, error.got, error.expected, error.hint) from error
        if isinstance(recording, Events) and (text := _missed(step, recording)):
            missed.append(f"{name}: {text}")
        yield (array, *rest) if rest else array


def _of_file(network: Network, path: str | os.PathLike[str]) -> Samples:
    names = network.graph.inputs
    arrays = npz.read(path, npz.Wanted((*names, "y"), MAX_BYTES, FLOAT32))
    if missing := [name for name in names if name not in arrays]:
        raise FileError(path, f"holds no array {missing[0]}", f"one array for each input: {', '.join(names)}")
    joined = _joined(network, {name: arrays[name] for name in names})
    return joined if "y" in names or "y" not in arrays else replace(joined, y=arrays["y"])


def _joined(network: Network, given: Mapping[Any, object]) -> Samples:
    graph = network.graph
    if set(given) != set(graph.inputs):
        raise DataError("data", f"inputs {', '.join(map(str, given))}", ", ".join(graph.inputs))
    parts = {described.node: prepared(described, given[described.node]) for described in network.inputs}
    if len(parts) == 1:
        return parts[graph.inputs[0]]
    for described in network.inputs:
        _check_part(network, described, parts[described.node].x)
    several = "as many samples, and steps, of every input"
    timed = [described.node for described in network.inputs if described.timed]
    if len({len(part.x) for part in parts.values()}) > 1 or len({parts[n].x.shape[1] for n in timed}) > 1:
        found = ", ".join(f"{name}: {part.x.shape}" for name, part in parts.items())
        raise DataError("data", found, several)
    labels = [part.y for part in parts.values() if part.y is not None]
    told = tuple(dict.fromkeys(text for part in parts.values() for text in part.warnings))
    lead = leading(network)
    flat = [part.x.reshape(*part.x.shape[:lead], -1) for part in parts.values()]
    return Samples(np.concatenate(flat, axis=-1), labels[0] if labels else None, told, prepared=True)


def _check_part(network: Network, described: InputRecord, x: Array) -> None:
    shape, lead = network.sample_shape(described.node), 2 if described.timed else 1
    if x.ndim < lead or x.shape[lead:] != shape:
        before = "samples, steps" if described.timed else "samples"
        wanted = f"({before}, {', '.join(map(str, shape))})"
        raise DataError(described.node, f"shape {x.shape}", wanted)


def parted(network: Network, x: Array) -> dict[str, Array]:
    """The values of each input, ``(N, *shape)`` or, with a time axis, ``(N, T, *shape)``, of samples as
    `taken` gives them.
    """
    if len(network.graph.inputs) == 1:
        return {network.graph.inputs[0]: x}
    steps, lead = given_steps(network, x), leading(network)
    found, first = {}, 0
    for described in network.inputs:
        shape = network.sample_shape(described.node)
        own = (steps,) if described.timed and lead == 1 and steps is not None else ()
        last = first + prod(own) * prod(shape)
        found[described.node] = x[..., first:last].reshape(*x.shape[:lead], *own, *shape)
        first = last
    return found


def given_steps(network: Network, x: Array) -> int | None:
    """How many steps samples bring along; None where no input has a time axis."""
    timed = [described.timed for described in network.inputs]
    if not any(timed):
        return None
    if all(timed):
        return int(x.shape[1])
    once, each = _values(network)
    return (x.shape[1] - once) // each


def leading(network: Network) -> int:
    """Axes before the values of a sample: samples, and where every input has a time axis steps."""
    return 2 if all(described.timed for described in network.inputs) else 1


def sample_shape(network: Network) -> tuple[int, ...]:
    """The shape of a sample behind the leading axes; empty where it is not known."""
    if len(network.graph.inputs) == 1:
        return network.record.input_shape
    once, each = _values(network)
    return () if once and each else (once + each,)


def _fits(network: Network, x: Array) -> bool:
    """Whether an array holds the values of several inputs as they are joined."""
    shape = sample_shape(network)
    if shape:
        return x.shape[leading(network) :] == shape
    once, each = _values(network)
    return x.ndim == 2 and x.shape[1] > once and (x.shape[1] - once) % each == 0


def _values(network: Network) -> tuple[int, int]:
    """Values of a sample that it has once, and those that it has in each step."""
    sizes = [(described.timed, prod(network.sample_shape(described.node))) for described in network.inputs]
    return sum(n for timed, n in sizes if not timed), sum(n for timed, n in sizes if timed)
