"""``--finetune`` of ``spikeflow convert``: its options, and the training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from spikeflow.convert.pipeline import Conversion
    from spikeflow.flows.finetune import Finetuned
    from spikeflow.samples import Samples
    from spikeflow.train.loop import Session

_OWN = ("finetune", "finetune_rate", "finetune_labels", "finetune_augment", "resume")


@dataclass(frozen=True)
class Wishes:
    """What the options say; the folder is that of checkpoints."""

    epochs: int
    seed: int
    folder: str
    resume: bool
    chosen: dict[str, Any]

    @classmethod
    def taken(cls, options: dict[str, Any], samples: Samples | None, out: str) -> Self | None:
        """What the command's options say of fine-tuning, taken out of them; None without ``--finetune``.

        Raises
        ------
        click.UsageError
            For its other options without it, and for it without samples.
        FileError
            Where the folder of its checkpoints holds another training.
        """
        own = {name: options.pop(name) for name in _OWN}
        if own["finetune"] is None:
            said = [name for name in _OWN if own[name] not in (None, False, ())]
            if said:
                raise click.UsageError(f"--{said[0].replace('_', '-')} is for --finetune EPOCHS")
            return None
        if samples is None:
            raise click.UsageError("--finetune needs samples: --data")
        if options["alphabet"] != "binary":  # told before the conversion, which takes its time
            given = options["alphabet"]
            raise click.UsageError(f"--finetune trains spikes of one worth: --alphabet binary, not {given}")
        from spikeflow.train.loop import check_unused

        numbers = {"rate": own["finetune_rate"], "labels": own["finetune_labels"]}
        given = {name: value for name, value in numbers.items() if value is not None}
        chosen = {**given, "augment": dict(_change(text) for text in own["finetune_augment"])}
        made = cls(own["finetune"], options["seed"], f"{out}.finetune", own["resume"], chosen)
        check_unused(made.session())
        return made

    def session(self) -> Session:
        """Where it is written, and whether it goes on."""
        from spikeflow.train.loop import Session

        return Session(self.folder, self.resume, lambda row: click.echo(row.to_text(), err=True))


def finetuned(conversion: Conversion, samples: Samples | None, wishes: Wishes) -> Finetuned:
    """The conversion, trained on; epochs and what they are expected to take are told on stderr."""
    from spikeflow.flows.finetune import Finetune, finetune
    from spikeflow.train.augment import Augment

    assert samples is not None
    chosen = {**wishes.chosen, "augment": Augment(**wishes.chosen["augment"])}
    options = replace(Finetune(wishes.epochs, seed=wishes.seed), **chosen)
    return finetune(conversion, samples, options=options, session=wishes.session(), forecast=_told)


def _told(seconds: float) -> None:
    click.echo(f"fine-tuning: about {seconds / 60:.1f} min, from one batch", err=True)


def _change(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name == "flip" and not value:
        return name, True
    if name == "shift" and value.isdecimal():
        return name, int(value)
    raise click.BadParameter(f"{text!r} is neither shift=PIXELS nor flip", param_hint="--finetune-augment")
