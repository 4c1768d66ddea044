"""``spikeflow data``: event files and data sets, one command a file.

A name that is a file is taken as one; else it must be a data set's.
"""

from __future__ import annotations

import click

from spikeflow.cli.lazy import LazyGroup

COMMANDS = ("list", "info", "prepare", "show", "frames", "convert")


@click.group("data", cls=LazyGroup, names=COMMANDS, place="spikeflow.cli.data_{}")
def command() -> None:
    """Work with event recordings and data sets."""
