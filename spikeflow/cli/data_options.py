"""What the data commands share: how a file is to be read, and whether a word is a file or a data set."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from spikeflow.errors import DataError, FileError

_READING = (
    click.option("--format", "format", help="Format of the file, where its content does not tell."),
    click.option("--columns", help="Order of the columns of a table without names, such as txyp."),
    click.option(
        "--sensor", help="Width and height of the sensor, such as 640x480, where the file does not say."
    ),
    click.option("--key", help="Name of the array inside a file that holds several."),
    click.option(
        "--unit-us",
        type=click.FloatRange(0, min_open=True),
        help="Microseconds of one tick of a table's time.",
    ),
    click.option(
        "--origin",
        type=click.IntRange(0, 1),
        help="What a table calls the first column and row: 0, or 1 as MATLAB does.",
    ),
    click.option("--sort", is_flag=True, default=None, help="Put events in order of time; none is lost."),
    click.option("--lenient", is_flag=True, help="Leave out what is damaged, and count it."),
)
_OPTIONS = ("format", "columns", "sensor", "key", "unit_us", "origin", "sort", "lenient")


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say how to read a file; `taken` makes arguments of `spikeflow.datasets.read` from them."""
    for option in reversed(_READING):
        command = option(command)
    return command


def taken(options: dict[str, Any]) -> dict[str, Any]:
    """The reading options out of a command's options, as `spikeflow.datasets.read` takes them."""
    said = {name: options.pop(name) for name in _OPTIONS}
    width, height = _sensor(said.pop("sensor"))
    found = {**said, "width": width, "height": height, "strict": not said.pop("lenient")}
    found.pop("lenient")
    return {name: value for name, value in found.items() if value is not None}


def _sensor(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    found = re.fullmatch(r"([1-9][0-9]{0,4})[x,]([1-9][0-9]{0,4})", text)
    if not found or max(map(int, found.groups())) > 65536:
        raise click.BadParameter(f"{text!r} is not a size such as 640x480", param_hint="--sensor")
    return int(found[1]), int(found[2])


def is_file(what: str) -> bool:
    """Whether the word is a file; else it is the name of a data set.

    Raises
    ------
    FileError
        Where it can only be a file, and there is none.
    DataError
        Where it is neither.
    """
    path = Path(what)
    if path.is_file():
        return True
    try:
        known_data_set(what, "FILE or NAME", "a file that is there, or the name of a data set")
    except DataError:
        if path.is_dir():
            raise FileError(what, "is a folder", "a file in it, or the name of a data set") from None
        if "/" in what or "." in what:
            raise FileError(what, "no such file") from None
        raise
    return False


def known_data_set(name: str, what: str = "NAME", expected: str = "the name of a data set") -> None:
    """DataError, with the names that come closest, where there is no such data set."""
    from spikeflow.datasets.sets import catalog

    try:
        catalog.dataset_class(name)
    except DataError:
        close = difflib.get_close_matches(name.lower(), catalog.names(), cutoff=0.5)
        raise DataError(what, name, expected, " or ".join(close) or "spikeflow data list") from None


def no_reading(said: dict[str, Any]) -> None:
    """Refuse reading options beside the name of a data set, whose class knows how to read its files."""
    wrong = [name for name, value in said.items() if (value is not True if name == "strict" else True)]
    if wrong:
        raise click.UsageError(f"a data set is read as its makers wrote it, without {', '.join(wrong)}")
