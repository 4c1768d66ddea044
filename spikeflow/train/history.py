"""What an epoch gave: a row of metrics.csv, written whole, and of TensorBoard where that is installed."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spikeflow.files.write import replace_file


@dataclass(frozen=True)
class Epoch:
    """One epoch; what was not measured is NaN.

    Parameters
    ----------
    epoch : its number, from 1.
    rate : the optimiser's step size at its end.
    train_loss, train_accuracy : over its batches, while weights moved.
    valid_loss, valid_accuracy : after it, by which the best epoch is selected.
    gradient_norm : the largest of its batches, before clipping.
    best : whether it is the best so far.
    member : of several networks that are trained for one, from 1; 0 of one alone.
    """

    epoch: int
    rate: float
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    gradient_norm: float
    best: bool
    member: int = 0

    def to_text(self) -> str:
        """In words."""
        valid = "" if self.valid_loss != self.valid_loss else f", valid {100 * self.valid_accuracy:.2f} %"
        text = (
            f"epoch {self.epoch}: loss {self.train_loss:.4f}, train {100 * self.train_accuracy:.2f} %{valid}"
        )
        whose = f"member {self.member}, " if self.member else ""
        return whose + text + (" (best)" if self.best else "")


COLUMNS = tuple(f.name for f in fields(Epoch) if f.name != "member")  # a table is of one network


def write_table(path: Path, rows: list[Epoch]) -> None:
    """All epochs as CSV, whole or not at all: so a run that goes on leaves no row twice."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    replace_file(path, (text.getvalue().encode(),))


def board(folder: Path, begin: int) -> Any:
    """A writer of TensorBoard that goes on at an epoch; None where that is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=begin)


def to_board(writer: Any, row: Epoch) -> None:
    """An epoch's numbers."""
    for name, value in asdict(row).items():
        if name not in ("epoch", "best", "member") and value == value:
            writer.add_scalar(name.replace("_", "/", 1), value, row.epoch)
    writer.flush()
