"""Samples that a network takes, but that are not what it was trained on: told, not answered in silence."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.input_record import InputRecord
from spikeflow.ir.nodes import Flatten, Input, Linear, Node, Output
from spikeflow.ir.preprocessing import Frames, Normalise, Step
from spikeflow.ir.record import Network, RunRecord
from spikeflow.neurons import LIF, Integrator
from spikeflow.sim.classify import classify
from spikeflow.sim.joined import taken

STEPS, DT = 5, 100


def of(shape: tuple[int, ...], coding: str, step: Step) -> Network:
    """A layer and 3 classes behind a step of preprocessing."""
    rng = np.random.default_rng(3)
    nodes: dict[str, Node] = {
        "in": Input(shape, "current"), "flat": Flatten(),
        "w": Linear(rng.normal(size=(6, int(np.prod(shape)))).astype(np.float32)), "cell": LIF(0.9).node((6,)),
        "v": Linear(rng.normal(size=(3, 6)).astype(np.float32)), "read": Integrator().node((3,)), "out": Output(),
    }  # fmt: skip
    names = list(nodes)
    edges = tuple(Edge(a, b) for a, b in zip(names, names[1:], strict=False))
    made = InputRecord("in", coding, preprocessing=(step,))
    return Network(
        Graph(nodes, edges), RunRecord(STEPS, coding, readout="read", inputs=(made,), input_shape=shape)
    )


def camera(**frames: object) -> Network:
    return of((2, 3, 4), "spikes", Frames(dt_us=DT, steps=STEPS, start="zero", **frames))  # type: ignore[arg-type]


def recording(times: np.ndarray) -> Events:
    rng, n = np.random.default_rng(len(times)), len(times)
    return Events(np.sort(times), rng.integers(0, 4, n), rng.integers(0, 3, n), rng.integers(0, 2, n), 4, 3)


def events_from(first: int, last: int, n: int = 80) -> Events:
    return recording(np.random.default_rng(1).integers(first, last, n))


@pytest.mark.parametrize("overlap", [0, 50])
@pytest.mark.parametrize(
    ("events", "words"),
    [
        (events_from(5000, 5500), r"0 of its 80 events fall into them; it lasts from 50\d\d to"),
        (events_from(0, 5000), r"\d+ of its 80 events fall into them"),
        (events_from(0, 40), r"all its 80 events fall into one of 5"),
    ],
    ids=["late", "slow", "in milliseconds"],
)
def test_recordings_that_the_steps_do_not_see_are_told(events: Events, words: str, overlap: int) -> None:
    fits = events_from(0, STEPS * DT)
    found = taken(camera(overlap=overlap), [fits, events, fits])
    (text,) = found.warnings
    assert text.startswith("1 of 3 recordings do not fit the steps, such as recording 1: ")
    assert re.search(words, text), text


@pytest.mark.parametrize(
    "events",
    [
        events_from(0, STEPS * DT),
        events_from(0, 2 * DT),
        events_from(0, STEPS * DT + DT),
        recording(np.array([3])),
    ],
    ids=["whole", "shorter", "a little longer", "one event"],
)
def test_others_are_not(events: Events) -> None:
    assert taken(camera(), [events]).warnings == ()


PICTURES = np.random.default_rng(0).integers(0, 256, (40, 3, 5, 5)).astype(np.float32)
MEAN, STD = (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)


@pytest.mark.parametrize(
    ("step", "unlikely"),
    [
        (Normalise(std=(255.0,)), PICTURES / 255),
        (Normalise(MEAN, STD), PICTURES / 255),
        (Normalise(MEAN, STD), (PICTURES - 120) / 58),
        (Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), PICTURES),
        (Normalise((90.0,), (3.0,)), PICTURES / 1e4 + 3),
    ],
    ids=["unit", "unit by channel", "normalised before", "bytes", "another unit"],
)
def test_samples_that_normalising_does_not_fit_are_told(step: Normalise, unlikely: np.ndarray) -> None:
    network = of((3, 5, 5), "direct", step)
    assert "normalised before, or be in another unit" in " ".join(taken(network, unlikely).warnings)
    assert "another unit" in " ".join(classify(network, unlikely).warnings)


@pytest.mark.parametrize(
    ("step", "likely"),
    [
        (Normalise(std=(255.0,)), PICTURES),
        (Normalise(std=(255.0,)), PICTURES / 8),
        (Normalise(MEAN, STD), PICTURES),
        (Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), PICTURES / 255),
        (Normalise(std=(255.0,)), np.zeros_like(PICTURES)),
        (Normalise(MEAN, STD), PICTURES[:1]),
    ],
    ids=["bytes", "dark", "bytes by channel", "unit", "black", "one"],
)
def test_samples_that_it_fits_are_not(step: Normalise, likely: np.ndarray) -> None:
    assert not any("unit" in text for text in taken(of((3, 5, 5), "direct", step), likely).warnings)


def test_frames_of_few_events_are_not_told() -> None:
    network = of((2, 3, 4), "spikes", Frames(dt_us=DT, steps=STEPS, start="zero"))
    record = network.record
    steps = (*record.inputs[0].preprocessing, Normalise(std=(100.0,)))
    inputs = (replace(record.inputs[0], preprocessing=steps),)
    sparse = replace(network, record=replace(record, inputs=inputs))
    assert taken(sparse, [recording(np.array([3, 200]))]).warnings == ()


@pytest.mark.parametrize(
    ("shape", "way"),
    [((7, 2, 3, 4, 5), r"x.transpose\(0, 4, 1, 2, 3\): steps come second"), ((7, 5, 2, 6, 8), "that trained the network"),
     ((7, 2, 3, 4), "a time axis behind the first"), ((7, 0, 2, 3, 4), "at least one sample")],
)  # fmt: skip
def test_wrong_shapes_are_refused_with_a_way_that_applies(shape: tuple[int, ...], way: str) -> None:
    with pytest.raises(DataError, match=way):
        classify(camera(), np.zeros(shape, np.float32))
