"""``spikeflow data``: event files and data sets, one command a file.

A name that is a file is taken as one; else it must be a data set's.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = ("list", "info", "prepare", "show", "frames", "convert")


class DataGroup(click.Group):
    """Loads a command's file when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"spikeflow.cli.data_{cmd_name}").command
        return found


@click.group("data", cls=DataGroup)
def command() -> None:
    """Work with event recordings and data sets."""
