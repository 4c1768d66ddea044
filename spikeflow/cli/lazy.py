"""LazyGroup: commands whose files are loaded when they are asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click


class LazyGroup(click.Group):
    """Loads a command's file when it is asked for, so that none pays for another's imports.

    Parameters
    ----------
    names : of the commands, in the order in which they are used.
    place : the module of a command, its name in place of ``{}``; it holds it as `command`.
    """

    def __init__(self, *args: Any, names: tuple[str, ...], place: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names, self._place = names, place

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they are used."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in self._names:
            return None
        command: click.Command = importlib.import_module(self._place.format(cmd_name)).command
        return command
