"""Data sets of still images: read at full speed as arrays, or one by one as events of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.encoded import ImageEncoder, Rate
from spikeflow.datasets.stored.rows import Row
from spikeflow.errors import DataError
from spikeflow.events import Events
from spikeflow.typing import Array


class ImageDataset(Dataset[Events]):
    """Still images with an encoder: ``[i] -> (Events, label)``; a class gives `metadata`, `find` and `load`.

    A file is loaded when an image of it is first asked for, and kept; copies for other workers start without
    it.

    Parameters
    ----------
    encoder : what makes events of an image (`spikeflow.datasets.encoded`).
    others : as of `Dataset`.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        partial: bool = False,
        transform: Callable[[Events], Any] | None = None,
        encoder: ImageEncoder = Rate(),  # noqa: B008  (frozen)
    ) -> None:
        self.encoder = encoder
        super().__init__(folder, split, partial, transform)

    def load(self, path: Path) -> Array:
        """All images of one file, uint8, ``(images, height, width)`` or ``(images, height, width, 3)``."""
        raise NotImplementedError

    def _pick(self, path: str, chosen: Sequence[int] | Array) -> Array:
        images, most = self._once(self.root / path, self.load), int(np.max(chosen))
        if most >= len(images):
            raise DataError(
                f"{self.root / path}", f"{len(images)} images", f"more than {most}, as its labels say"
            )
        return images[chosen]

    def image(self, i: int) -> Array:
        """Image i, uint8, as its file holds it."""
        place: Row = self.locate(i)
        return self._pick(place.path, [place.row])[0]

    def read(self, place: Row) -> Events:
        """The image at this place, encoded; its draws are numbered by its row."""
        return self.encoder(self._pick(place.path, [place.row])[0], place.row)

    def arrays(self) -> tuple[Array, Array]:
        """All images, uint8, ``(N, height, width)`` or ``(N, height, width, 3)``, and labels, int64; no
        encoder.
        """
        path = np.array([place.path for place in self.index.places])
        row = np.array([place.row for place in self.index.places])
        out: Array | None = None
        for name in dict.fromkeys(path.tolist()):
            here = path == name
            images = self._pick(name, row[here])
            if out is None:
                out = np.empty((len(self), *images.shape[1:]), np.uint8)
            out[here] = images
        assert out is not None  # a data set is never empty
        return out, self.labels.copy()
