"""What a picture of a recording shows: its rate over time, its frames, and a sample of its events in space
and time.

Any number of events goes through in two passes of constant memory: the first finds how many there are and how
far they reach, the second counts. Rate and frames count every event; only the points of the cloud are a
sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.report.recording.frames import Frames, FrameStore
from spikeflow.typing import Array

Pieces = Callable[[], Iterable[Events]]  # each call gives all events anew, in order, in pieces

MAX_POINTS = 120_000  # 9 bytes each on the page
MAX_STEPS = 20_000
STEPS = 200  # at most so many, where nobody says how long a step is


@dataclass(frozen=True)
class View:
    """What a user wants to see: ``start_us <= t < stop_us``, counted in steps of `dt_us`; None leaves it
    open.
    """

    dt_us: int | None = None
    start_us: int | None = None
    stop_us: int | None = None


@dataclass(frozen=True)
class About:
    """What the picture is of, in words.

    Parameters
    ----------
    title : the file's name, or that of a data set and the number of its sample.
    note : what a reader must know before believing it (a synthetic twin), or nothing.
    rows : of the table of facts, name and value.
    """

    title: str
    note: str = ""
    rows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Survey:
    """The first pass: events of the stretch, and how far they reach."""

    events: int
    on_events: int
    first_us: int
    last_us: int
    width: int
    height: int
    sensor_known: bool


@dataclass(frozen=True, eq=False)
class Points:
    """A sample of the events; `t_us` counts from the start of the picture; `of` is how many there are in
    all.
    """

    t_us: Array
    x: Array
    y: Array
    p: Array
    of: int


@dataclass(frozen=True, eq=False)
class RecordingFacts:
    """Everything that a picture of a recording needs.

    Parameters
    ----------
    about : in words.
    survey : of the stretch shown.
    start_us, dt_us : step k counts the events with ``start_us + k dt_us <= t < start_us + (k + 1) dt_us``.
    on, off : int64, ``(steps,)``, events of each step.
    points : the cloud.
    frames : counts for each step and pixel.
    """

    about: About
    survey: Survey
    start_us: int
    dt_us: int
    on: Array
    off: Array
    points: Points
    frames: Frames

    @property
    def steps(self) -> int:
        """Number of steps, and of frames."""
        return len(self.on)

    @property
    def span_us(self) -> int:
        """Length of the picture's time axis."""
        return self.steps * self.dt_us

    @property
    def window(self) -> int:
        """Steps of a frame in which one sees something: events in a thirtieth of the pixels, on average."""
        pixels = self.survey.width * self.survey.height
        wanted = round(pixels / 30 / (self.survey.events / self.steps))
        return min(max(1, wanted), max(1, self.steps // 8))

    @property
    def is_line(self) -> bool:
        """Whether the sensor is one row (a cochlea, a skin): then a raster says more than frames."""
        return self.survey.height == 1


def recording_facts(pieces: Pieces, about: About, view: View | None = None) -> RecordingFacts:
    """The facts of a recording, or of the stretch of it that `view` asks for.

    Raises
    ------
    DataError
        Where there is no event to show, or `dt_us` makes too many steps.
    """
    view = view or View()
    survey = _survey(pieces, view)
    start = _begin(pieces, survey, view)
    dt, steps = _steps(survey.last_us - start + 1, view.dt_us)
    on, off = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
    store, sample = FrameStore(survey.width, survey.height, steps), _Sample(survey.events)
    left = survey.events  # a file that somebody still writes to is longer in the second pass
    for part in _stretch(pieces(), view):
        part, left = part[:left], max(0, left - len(part))
        step = (part.t - start) // dt
        on += np.bincount(step[part.p == 1], minlength=steps)
        off += np.bincount(step[part.p == 0], minlength=steps)
        store.add(step, part)
        sample.add(part)
    return RecordingFacts(about, survey, start, dt, on, off, sample.points(start), store.finish())


def _stretch(pieces: Iterable[Events], view: View) -> Iterator[Events]:
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    start = low if view.start_us is None else view.start_us
    stop = high if view.stop_us is None else view.stop_us
    for piece in pieces:
        if len(piece) and piece.t[0] >= stop:
            return
        part = piece if view.start_us is None and view.stop_us is None else piece.between(start, stop)
        if len(part):
            yield part


def _survey(pieces: Pieces, view: View) -> Survey:
    found: Survey | None = None
    for part in _stretch(pieces(), view):
        known = part.width is not None and part.height is not None
        found = found or Survey(0, 0, int(part.t[0]), 0, 1, 1, known)
        found = replace(
            found,
            events=found.events + len(part),
            on_events=found.on_events + int(np.count_nonzero(part.p)),
            last_us=int(part.t[-1]),
            width=max(found.width, part.width or int(part.x.max()) + 1),
            height=max(found.height, part.height or int(part.y.max()) + 1),
        )
    if found is None:
        raise _nothing(pieces, view)
    return found


def _begin(pieces: Pieces, survey: Survey, view: View) -> int:
    """Where step 0 begins: as the user says, but not long before there was anything to see."""
    if view.start_us is None:
        return survey.first_us
    first = next(int(piece.t[0]) for piece in pieces() if len(piece))
    return max(first, view.start_us)


def _nothing(pieces: Pieces, view: View) -> DataError:
    first, last = None, None
    for piece in pieces():
        if len(piece):
            first = int(piece.t[0]) if first is None else first
            last = int(piece.t[-1])
    if first is None:
        return DataError("recording", "no event at all", "at least one to show")
    said = [f"{n} {v:,} µs" for n, v in (("from", view.start_us), ("to", view.stop_us)) if v is not None]
    return DataError(
        "recording",
        f"no event {' '.join(said)}",
        f"a stretch within {first:,} to {last:,} µs, its first and last",
    )


def _steps(span: int, dt: int | None) -> tuple[int, int]:
    if dt is None:
        dt = round_up(span / STEPS)
    steps = -(-span // dt)
    if steps > MAX_STEPS:
        least = round_up(span / MAX_STEPS)
        raise DataError(
            "dt_us", f"{dt:,}, {steps:,} steps", f"at most {MAX_STEPS:,} steps", f"--dt-us {least}"
        )
    return dt, steps


def round_up(value: float) -> int:
    """The next whole number of the kind 1, 2, 5, 10, 20, 50, ..."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= value:
                return digit * power
        power *= 10


class _Sample:
    """At most `MAX_POINTS` of so many events: one, drawn at random, out of each of equally long runs."""

    def __init__(self, events: int) -> None:
        self._events, self._seen = events, 0
        self._kept: list[Events] = []
        if events > MAX_POINTS:
            # a regular stride would beat against the order in which a sensor reads its rows
            within = np.random.default_rng(0).random(MAX_POINTS)
            self._chosen = np.floor((np.arange(MAX_POINTS) + within) * (events / MAX_POINTS)).astype(np.int64)
        else:
            self._chosen = np.arange(events)

    def add(self, part: Events) -> None:
        """The next events of the recording."""
        low, high = np.searchsorted(self._chosen, [self._seen, self._seen + len(part)])
        self._kept.append(part[self._chosen[low:high] - self._seen])
        self._seen += len(part)

    def points(self, start_us: int) -> Points:
        """What was kept."""
        t, x, y, p = (np.concatenate([getattr(part, name) for part in self._kept]) for name in "txyp")
        return Points(t - start_us, x, y, p, self._events)


def time_unit(span_us: float) -> tuple[float, str]:
    """The unit of a time axis this long: how many microseconds it is, and its name."""
    return next(
        ((size, name) for size, name in ((1e6, "s"), (1e3, "ms")) if span_us >= 2 * size), (1.0, "µs")
    )


def drawn(facts: RecordingFacts) -> str:
    """How many of how many events are drawn as points."""
    shown, of = len(facts.points.x), facts.points.of
    if shown == of:
        return f"All {of:,} events are drawn." if of > 1 else "The one event is drawn."
    return f"{shown:,} of {of:,} events are drawn, chosen at random and evenly over the recording."
