"""``spikeflow doctor``: what of spikeflow works on this machine, and what is missing for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spikeflow.cli import console

if TYPE_CHECKING:
    from spikeflow.installation import Installation


@click.command("doctor")
@console.JSON
def command(as_json: bool) -> None:
    """Say what works on this machine and what is missing.

    Printed are versions, the engine's build and threads, and for each package that is missing what it is
    needed for.
    """
    from spikeflow.installation import examine

    found = examine()
    console.emit(as_json, found.to_json(), _text(found))


def _text(found: Installation) -> str:
    engine = found.engine
    works = f"{engine.instructions} instructions; {engine.build}"
    lines = [
        f"spikeflow {found.spikeflow} in {found.folder}",
        f"{found.python} on {found.system}",
        f"engine: {engine.problem or works}",
        f"decoders of event files: {found.decoders or 'work'}",
        f"kernels of neuron layers: {found.sweeps or 'work'}",
        f"threads: {found.threads} (--threads 0 takes them all)",
        "",
    ]
    rows = [[part.name, part.version or "-", part.problem or "works", part.purpose] for part in found.parts]
    lines.append(console.table("", ["package", "version", "state", "needed for"], rows, left=4).lstrip("\n"))
    lines += [f"{part.name} {part.problem}: no {part.purpose}. Try: {part.advice}." for part in found.missing]
    return "\n".join(lines) if found.missing else "\n".join([*lines, "Nothing is missing."])
