"""Writing a picture of a recording: page, still or film by the suffix of its name; whole or not at all.

The drawing libraries are loaded only when there is something to draw.
"""

from __future__ import annotations

from pathlib import Path

from spikeflow.errors import DataError
from spikeflow.files.write import check_output, replace_file
from spikeflow.report.recording.facts import RecordingFacts

SUFFIXES = (".html", ".png", ".gif", ".mp4")
FPS = 25


def kind_of_picture(path: str | Path) -> str:
    """The suffix, if a picture can be written to such a name.

    Raises
    ------
    DataError
        Where it cannot.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: picture", f"the suffix {suffix!r}", f"one of {', '.join(SUFFIXES)}")
    return suffix


def write_recording(path: str | Path, facts: RecordingFacts, fps: int = FPS) -> None:
    """Write the picture; `fps` is pictures of a film in a second.

    Raises
    ------
    DataError
        Where there is no such kind of picture, or a film would be too long.
    FileError
        Where it cannot be written, or ffmpeg is missing; what was there before stays.
    """
    suffix = kind_of_picture(path)
    check_output(path)  # a film takes a minute to draw
    replace_file(path, (_drawn(suffix, facts, fps),))


def _drawn(suffix: str, facts: RecordingFacts, fps: int) -> bytes:
    if suffix == ".html":
        from spikeflow.report.recording import page as recording_page

        return recording_page.to_html(facts).encode()
    if suffix == ".png":
        from spikeflow.report.recording import picture as recording_picture

        return recording_picture.to_png(facts)
    from spikeflow.report.recording import film as recording_film

    return recording_film.to_gif(facts, fps) if suffix == ".gif" else recording_film.to_mp4(facts, fps)
