"""``spikeflow data show FILE|NAME [INDEX] --out x.html``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from spikeflow.cli import console, data_options
from spikeflow.errors import DataError

if TYPE_CHECKING:
    from spikeflow.datasets.base import Dataset
    from spikeflow.report.recording.facts import RecordingFacts, View


@click.command("show", cls=console.Writing, short_help="Draw a recording or a sample: page, picture, film.")
@click.argument("what", metavar="FILE|NAME")
@click.argument("index", type=int, required=False)
@console.OUT
@click.option("--data", type=click.Path(), help="Folder that holds the data set.")
@click.option("--split", default=None, help="Split of the data set.  [default: train]")
@click.option("--dt-us", type=click.IntRange(1), help="Microseconds of a frame and of a step of the rate.")
@click.option("--start-us", type=int, help="Only events at this time or later.")
@click.option("--stop-us", type=int, help="Only events before this time.")
@click.option(
    "--fps", type=click.IntRange(1, 50), default=25, show_default=True, help="Pictures a second of a film."
)
@data_options.reading
@console.JSON
def command(what: str, index: int | None, out: str, as_json: bool, fps: int, **options: Any) -> None:
    """Draw a recording, or sample INDEX of a data set: a page (.html), a picture (.png), a film (.gif, .mp4).

    A data set that is not on this machine is shown by its synthetic twin, and the picture says so.
    """
    from spikeflow.report.recording.facts import View
    from spikeflow.report.recording.write import kind_of_picture, write_recording

    kind_of_picture(out)
    said = data_options.taken(options)
    view = View(options["dt_us"], options["start_us"], options["stop_us"])
    told: list[str] = []
    if data_options.is_file(what):
        if index is not None or options["data"] or options["split"]:
            raise click.UsageError(f"{what} is a file: INDEX, --data and --split belong to a data set")
        with console.heard() as told:
            facts = _of_file(what, said, view)
    else:
        data_options.no_reading(said)
        if index is None:
            raise click.UsageError(
                f"{what} is a data set: which sample? Try: spikeflow data show {what} 0 --out {out}"
            )
        facts = _of_sample(Chosen(what, options["split"] or "train", index, options["data"]), view)
    write_recording(out, facts, fps)
    console.emit(as_json, {**_facts(facts, out), "warnings": told}, _text(facts, out))


def _of_file(path: str, said: dict[str, Any], view: View) -> RecordingFacts:
    from spikeflow.datasets import open_recording
    from spikeflow.datasets.info import describe
    from spikeflow.report.recording.about import about_file
    from spikeflow.report.recording.facts import recording_facts

    about = about_file(path, describe(path, **said))
    with open_recording(path, **said) as recording:
        return recording_facts(recording.pieces, about, view)


@dataclass(frozen=True)
class Chosen:
    """Which sample the user asks for."""

    name: str
    split: str
    index: int
    folder: str | None


def _of_sample(chosen: Chosen, view: View) -> RecordingFacts:
    from spikeflow.datasets.info import describe
    from spikeflow.datasets.sets.dsec_drive import Drive
    from spikeflow.report.recording.about import about_sample, facts_of
    from spikeflow.report.recording.facts import recording_facts

    data, note = _opened(chosen)
    if not 0 <= chosen.index < len(data):
        raise DataError(
            f"{data.metadata.name}, {chosen.split}: sample", chosen.index, f"0 to {len(data) - 1}"
        )
    sample, label = data[chosen.index]
    place = {"split": chosen.split, "sample": f"{chosen.index:,}"}
    if not isinstance(sample, Drive):
        return recording_facts(
            lambda: [sample], about_sample(data.metadata, place, label, facts_of(sample), note), view
        )
    # a drive of minutes goes through in pieces
    counted = describe(sample.path("events_left")).to_json()
    about = about_sample(
        data.metadata, {**place, "drive": sample.name, "camera": "left"}, label, counted, note
    )
    with sample.recording("left") as recording:
        return recording_facts(recording.pieces, about, view)


def _opened(chosen: Chosen) -> tuple[Dataset[Any], str]:
    """The data set, or its twin where the user names no folder and the usual one holds nothing of it; and a
    note.
    """
    from spikeflow.datasets import synthetic
    from spikeflow.datasets.base import NothingFound
    from spikeflow.datasets.sets import catalog

    folder = catalog.data_folder() if chosen.folder is None else chosen.folder
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a partial copy: the note says it
            data = catalog.load(chosen.name, folder, chosen.split, partial=True)
    except NothingFound:
        if chosen.folder is not None:
            raise
        metadata = catalog.metadata(chosen.name)
        twin = synthetic.twin(chosen.name, metadata.counts.get(chosen.split), chosen.split)
        return twin, f"Synthetic: generated, no recording. {folder} holds no {metadata.title}."
    if data.found == data.expected:
        return data, ""
    return data, f"From a copy of {data.found:,} samples; a complete one has {data.expected:,}."


def _facts(facts: RecordingFacts, out: str) -> dict[str, Any]:
    survey = facts.survey
    return {
        "out": out,
        "title": facts.about.title,
        "note": facts.about.note,
        "events": survey.events,
        "points": len(facts.points.x),
        "width": survey.width,
        "height": survey.height,
        "sensor_known": survey.sensor_known,
        "start_us": facts.start_us,
        "dt_us": facts.dt_us,
        "steps": facts.steps,
        "cell": facts.frames.cell,
    }


def _text(facts: RecordingFacts, out: str) -> str:
    from spikeflow.report.recording.facts import drawn

    survey, lines = facts.survey, [facts.about.title]
    lines += [facts.about.note] if facts.about.note else []
    size = f"{survey.width}x{survey.height}" + ("" if survey.sensor_known else ", as far as events reach")
    lines += [
        f"{survey.events:,} events, {size}, {facts.steps:,} steps of {facts.dt_us:,} µs. {drawn(facts)}"
    ]
    return "\n".join([*lines, f"Written: {out}"])
