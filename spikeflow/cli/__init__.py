"""The command ``spikeflow``: one file a command, each a few lines over one public function.

Exit codes: 0, or 1 with a one-paragraph error, or 2 for wrong usage, or 130 after Ctrl-C.
"""

from __future__ import annotations

import sys

import click

from spikeflow.cli.lazy import LazyGroup
from spikeflow.errors import SpikeflowError
from spikeflow.version import __version__

COMMANDS = ("convert", "train", "run", "map", "show", "report", "data", "doctor")


@click.group(
    cls=LazyGroup,
    names=COMMANDS,
    place="spikeflow.cli.{}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="spikeflow")
def cli() -> None:
    """Take a neural network to neuromorphic hardware.

    Convert a trained network into a spiking one, run it, map it onto a chip, and report on it. What cannot be
    done, or not exactly, is said with its reason.
    """


def main() -> None:
    """Entry point of the command line."""
    try:
        ended = cli(standalone_mode=False)
        if isinstance(ended, int):  # what a command gave to ctx.exit
            sys.exit(ended)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SpikeflowError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"Error: {error.filename or 'file'}: {error.strerror or error}.", err=True)
        sys.exit(1)
    except MemoryError:
        click.echo("Error: not enough memory. Try: fewer samples (--limit), or a smaller network.", err=True)
        sys.exit(1)
