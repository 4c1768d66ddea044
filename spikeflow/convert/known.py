"""Known: what the samples and labels of a conversion say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeflow.convert.capture.builder import Captured
from spikeflow.convert.cautions import cautions
from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.outputs import (
    ann_accuracy,
    axis_warnings,
    check_labels,
    described,
    output_warnings,
)
from spikeflow.convert.passes.observe import Stats
from spikeflow.convert.passes.silent import silent_layers
from spikeflow.convert.verify.calibrated import Calibration
from spikeflow.ir.record import OutputRecord
from spikeflow.typing import Array

ENOUGH = 20  # samples with labels, from which on it is told where the network answers them by chance


@dataclass(frozen=True, eq=False)
class Known:
    """What samples and labels say: their statistics, and what each output means; `answering` is the one
    that answers.
    """

    calibration: Calibration | None
    stats: Stats | None
    outputs: tuple[OutputRecord, ...]
    answering: OutputRecord | None

    @staticmethod
    def of(
        calibration: Calibration | None,
        stats: Stats | None,
        outputs: tuple[OutputRecord, ...],
        options: ConvertOptions,
    ) -> Known:
        """What is known of these outputs."""
        found, chosen = described(outputs, options, None if calibration is None else calibration.y)
        return Known(calibration, stats, found, next((o for o in found if o.name == chosen), None))

    @property
    def held_back(self) -> Array:
        """The samples that test the result; none without calibration."""
        return np.zeros((0, 1), np.float32) if self.calibration is None else self.calibration.held_back

    def ann_accuracy(self) -> float | None:
        """Accuracy on the samples that set thresholds; None where labels are not known."""
        if self.calibration is None or self.calibration.y is None or self.stats is None:
            return None
        y, answering = self.calibration.y, self.answering
        if answering is not None:
            check_labels(y, answering, self.stats.outputs[answering.node].shape[1:])
        return ann_accuracy(self.stats.outputs, y[self.calibration.parts.setting], answering)

    def warnings(self, captured: Captured, options: ConvertOptions) -> tuple[str, ...]:
        """What a user should know of the samples, the options and the outputs."""
        if self.calibration is None or self.stats is None:
            return tuple(cautions(captured, options, None))
        return (
            *cautions(captured, options, len(self.calibration.parts.digests)),
            *map(_silent, silent_layers(self.stats)),
            *output_warnings(self.stats.outputs, self.outputs, self.calibration.y),
            *axis_warnings(captured.graph, self.outputs, self.calibration.y),
            *self._no_better_than_guessing(),
            *self.calibration.samples.warnings,
        )

    def _no_better_than_guessing(self) -> tuple[str, ...]:
        """Of a network that answers the labels no better than their most frequent class alone would."""
        right = self.ann_accuracy()
        if right is None or self.calibration is None or self.calibration.y is None:
            return ()
        counts = np.unique(self.calibration.y[self.calibration.parts.setting], return_counts=True)[1]
        guess = float(counts.max() / counts.sum())
        if len(counts) < 2 or counts.sum() < ENOUGH or right > guess:
            return ()
        return (
            f"the ANN is right in {right:.1%} of the samples that set thresholds, and the most frequent "
            f"class alone in {guess:.1%}: their labels, values or layout may not be those that it was "
            "trained with",
        )


def _silent(name: str) -> str:
    return (
        f"{name}: no unit is active on the calibration samples; its neurons never fire and it adds exactly "
        "0; give samples that make it respond with --data, if it should"
    )
