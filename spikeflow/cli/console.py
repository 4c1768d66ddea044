"""What all commands share: printing facts as text or JSON, progress on stderr, shared options."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import click

from spikeflow.errors import FileError, SpikeflowWarning
from spikeflow.files.write import check_output
from spikeflow.typing import Progress

JSON = click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON, for machines.")
SEED = click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of everything that is drawn at random.",
)


class OutputPath(click.Path):
    """The type of an argument or option that names a file to write."""


class Writing(click.Command):
    """A command that writes files: that it can, and replaces nothing that it reads, is known before the
    work.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Check the outputs, then run."""
        said = [(parameter, ctx.params.get(parameter.name or "")) for parameter in self.params]
        outputs = [value for parameter, value in said if isinstance(parameter.type, OutputPath) and value]
        inputs = [v for p, v in said if not isinstance(p.type, OutputPath) and isinstance(v, str)]
        inputs += [f"{v.split('.py:')[0]}.py" for v in inputs if ".py:" in v]  # the file of --arch
        for at, output in enumerate(outputs):
            check_output(output, inputs)
            if os.path.realpath(output) in map(os.path.realpath, outputs[:at]):
                raise FileError(output, "would hold two outputs at once", "another name for one of them")
        return super().invoke(ctx)


CHIP_MODULE = (
    "Dotted name of the Python module that holds the mapping's CHIP, where the chip is not spikeflow's."
)
SAMPLES = (
    "Samples: a .npz file with x and, where known, y; a .npy file with x; or a folder of x.npy and y.npy, or "
    "of one .npy file for each sample; recordings, or an idx file of pictures as they are."
)
ARCH = click.option(
    "--arch",
    help="What makes the module of a state dict: package.module:function or path/to/file.py:function, "
    "with arguments where it takes some, as 'models.py:resnet(depth=20)'.",
)
RUN_STEPS = click.option(
    "--steps", type=click.IntRange(1), default=None, help="Steps of a run, instead of those in the file."
)
LIMIT = click.option(
    "--limit", type=click.IntRange(1), default=None, help="Use only so many samples, the first."
)
OUTPUT = click.option(
    "--output", default="", help="The name of the output that answers, where there are several."
)
ENGINES = click.option(
    "--engine",
    type=click.Choice(["cpp", "reference"]),
    default="cpp",
    show_default=True,
    help="cpp is fast; reference is slow, plain numpy. They give the same results.",
)
OUT = click.option("--out", type=OutputPath(dir_okay=False), required=True, help="File to write.")


def shape_option(text: str | None) -> tuple[int, ...]:
    """``3,32,32`` or ``3x32x32`` as numbers."""
    if not text:
        return ()
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise click.BadParameter(f"{text!r} is not a shape such as 3,32,32", param_hint="--input-shape")
    return shape


@contextmanager
def heard() -> Generator[list[str], None, None]:
    """The SpikeflowWarnings of what runs inside, listed for ``--json``; each is printed once on stderr."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpikeflowWarning)
        try:
            yield told
        finally:  # what was told before an error is told beside it
            told += dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, SpikeflowWarning))
            for text in told:
                click.echo(f"warning: {text}", err=True)
    for other in caught:
        if not issubclass(other.category, SpikeflowWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)


def emit(as_json: bool, facts: dict[str, Any], text: str) -> None:
    """Print one of the two on stdout."""
    click.echo(json.dumps(facts, indent=1) if as_json else text)


@contextmanager
def progress(title: str) -> Generator[Progress, None, None]:
    """A bar on stderr, shown only where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:  # rich 13.7 ends even a bar that is not shown with an empty line
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def transfers() -> Generator[Callable[[str, int, int | None], None], None, None]:
    """Bars of bytes on stderr, one for each file on its way, shown only where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console, tasks = Console(stderr=True), {}
    if not console.is_terminal:
        yield lambda what, done, of: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:

        def told(what: str, done: int, of: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        yield told


def table(title: str, columns: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A table as text: the first `left` columns to the left, the others to the right."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        grid.add_column(column, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console = Console(width=120, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
