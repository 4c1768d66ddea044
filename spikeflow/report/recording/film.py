"""A recording as a film: its frames one after the other, with the time and how fast it runs; GIF, or MP4 by
ffmpeg.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spikeflow.errors import DataError, FileError
from spikeflow.files.opened import read_regular
from spikeflow.files.write import drafted_folder
from spikeflow.report.recording.facts import RecordingFacts, time_unit
from spikeflow.report.recording.paint import (
    INK_INDEX,
    LINE_INDEX,
    SHADES,
    full_count,
    palette,
    shaded,
)
from spikeflow.typing import Array

LARGE = 480  # pixels along the longer edge of the film, about
STRIP, MARGIN = 30, 8  # pixels of the strip with the time, and beside its text
MAX_PICTURES = 2000
FFMPEG = "ffmpeg"


def to_gif(facts: RecordingFacts, fps: int) -> bytes:
    """An endless GIF; its pictures stay for a whole number of hundredths of a second, as the format
    counts.
    """
    colours = palette().reshape(-1).tolist()
    images = []
    for picture in pictures(facts, fps):
        image = Image.fromarray(picture, "P")
        image.putpalette(colours)
        images.append(image)
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=round(100 / fps) * 10,
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def to_mp4(facts: RecordingFacts, fps: int) -> bytes:
    """An MP4 in the codec that ffmpeg takes for it.

    Raises
    ------
    FileError
        Where ffmpeg is not there or fails.
    """
    program = shutil.which(FFMPEG)
    if program is None:
        raise FileError(
            "film.mp4", "needs the program ffmpeg, which is not installed", "a name that ends in .gif"
        )
    colours, shown = palette(), pictures(facts, fps)
    first = next(shown)
    height, width = first.shape
    with drafted_folder(Path(tempfile.gettempdir())) as folder:
        target = folder / "film.mp4"
        command = [program, "-loglevel", "error", "-f", "rawvideo", "-pixel_format", "rgb24"]
        command += ["-video_size", f"{width}x{height}", "-framerate", str(fps), "-i", "pipe:0"]
        command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(target)]
        _piped(command, (colours[picture].tobytes() for picture in _all(first, shown)))
        return read_regular(target, most=1 << 40)


def _all(first: Array, rest: Iterator[Array]) -> Iterator[Array]:
    yield first
    yield from rest


def _piped(command: list[str], parts: Iterator[bytes]) -> None:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
        assert process.stdin is not None
        with process:
            # where it ends before it has read all, its exit code and its words say why
            with suppress(BrokenPipeError):
                for part in parts:
                    process.stdin.write(part)
            with suppress(BrokenPipeError):
                process.stdin.close()
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"exit code {process.returncode}"
            raise FileError("film.mp4", f"ffmpeg could not make it: {why}", "a name that ends in .gif")


def pictures(facts: RecordingFacts, fps: int) -> Iterator[Array]:
    """Every picture of the film, uint8 ``(height, width)``, places in the palette; both sizes are even.

    Raises
    ------
    DataError
        Where the recording has more steps than a film may have pictures.
    """
    if facts.steps > MAX_PICTURES:
        raise DataError(
            "film",
            f"{facts.steps:,} steps",
            f"at most {MAX_PICTURES:,}",
            "a larger dt_us, or a shorter stretch",
        )
    yield from _raster(facts, fps) if facts.is_line else _frames(facts, fps)


def _frames(facts: RecordingFacts, fps: int) -> Iterator[Array]:
    frames = facts.frames
    longer = max(frames.width, frames.height)
    shrunk, enlarged = max(1, round(longer / (1.5 * LARGE))), max(1, round(LARGE / longer))
    most = full_count(frames, facts.window, shrunk)
    for step in range(facts.steps):
        cells = shaded(frames.dense(step, facts.window, shrunk), most)
        yield _with_strip(np.kron(cells, np.ones((enlarged, enlarged), np.uint8)), facts, step, fps)


def _raster(facts: RecordingFacts, fps: int) -> Iterator[Array]:
    """A sensor of one row: marks over time and channel, uncovered as time goes by."""
    width = 2 * LARGE
    rows = max(1, LARGE // facts.survey.width)
    points, cells = facts.points, np.zeros((facts.survey.width * rows, width), np.uint8)
    column = (points.t_us * width // facts.span_us).astype(np.int64)
    colour = np.where(points.p == 1, SHADES * (SHADES - 1), SHADES - 1).astype(np.uint8)
    last = np.searchsorted(points.t_us, np.arange(1, facts.steps + 1) * facts.dt_us)
    before = 0
    for step in range(facts.steps):
        for part in range(rows):
            row = (facts.survey.width - 1 - points.x[before : last[step]].astype(np.int64)) * rows + part
            cells[row, column[before : last[step]]] = colour[before : last[step]]
        before = int(last[step])
        shown = cells.copy()
        now = min(width - 1, (step + 1) * width // facts.steps)
        shown[:, now] = INK_INDEX
        yield _with_strip(shown, facts, step, fps)


def _with_strip(cells: Array, facts: RecordingFacts, step: int, fps: int) -> Array:
    """The picture above a strip with its time; both sizes become even, as video codecs want."""
    height, width = cells.shape
    width = max(width, 220)
    out = np.zeros((height + height % 2 + STRIP, width + width % 2), np.uint8)
    left = (out.shape[1] - cells.shape[1]) // 2
    out[:height, left : left + cells.shape[1]] = cells
    out[-STRIP, :] = LINE_INDEX
    out[-STRIP : -STRIP + 3, : round(out.shape[1] * (step + 1) / facts.steps)] = INK_INDEX
    image = Image.fromarray(out, "P")
    _text(image, facts, step, fps)
    return np.asarray(image)


def _text(image: Image.Image, facts: RecordingFacts, step: int, fps: int) -> None:
    unit, name = time_unit(facts.span_us)
    digits = max(0, int(np.ceil(-np.log10(facts.dt_us / unit))))
    font, line = ImageFont.load_default(13), image.size[1] - STRIP / 2 + 1
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"  # no shades between ink and paper: the palette has none
    pen.text((MARGIN, line), f"{step * facts.dt_us / unit:.{digits}f} {name}", INK_INDEX, font, anchor="lm")
    pen.text((image.size[0] - MARGIN, line), speed(facts.dt_us, fps), INK_INDEX, font, anchor="rm")


def speed(dt_us: int, fps: int) -> str:
    """How fast the film runs against the recording."""
    factor = fps * dt_us / 1e6
    if 0.99 < factor < 1.01:
        return "real time"
    return f"{factor:.3g}x faster" if factor > 1 else f"{1 / factor:.3g}x slower"
