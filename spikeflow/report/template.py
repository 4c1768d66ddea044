"""What pages are made of: their template, styles and scripts, which lie in `page/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


def piece(name: str) -> str:
    """One of the files."""
    return (files("spikeflow.report") / "page" / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Where templates are read: all that enters them is escaped, and a name that they lack is an error."""
    return Environment(
        loader=FunctionLoader(piece),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
