"""tonic with torch's DataLoader on N-MNIST, run by the peers' Python: loading.py PASSES < {"files", "labels"}.

Prints one JSON object: the digest of all batches in order, and the seconds of each epoch for each number of workers.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Iterable
from typing import Any

BATCH, STEPS, DT_US = 50, 20, 15_000
WORKERS = (0, 1, 2)


def digest(batches: Iterable[tuple[Any, Any]]) -> str:
    """Of all counts as float32 and all labels, batch after batch."""
    found = hashlib.sha256()
    for x, labels in batches:
        found.update(x.float().contiguous().numpy().data)
        found.update(labels.long().numpy().data)
    return found.hexdigest()


class Files:
    """N-MNIST by tonic: its reader, its frames. Its own data set class opens complete copies only."""

    def __init__(self, files: list[str], labels: list[int]) -> None:
        import numpy as np
        from tonic import transforms
        from tonic.io import read_mnist_file

        self.files, self.labels, self.read = files, labels, read_mnist_file
        self.dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
        self.frames = transforms.ToFrame(
            sensor_size=(34, 34, 2), time_window=DT_US, start_time=0, end_time=STEPS * DT_US
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.frames(self.read(self.files[i], dtype=self.dtype)), self.labels[i]


def main() -> None:
    """Compare, then time; frames are turned into floats, as a network takes them."""
    import torch
    from tonic.collation import PadTensors
    from torch.utils.data import DataLoader

    told = json.load(sys.stdin)
    torch.set_num_threads(1)
    data: Any = Files(told["files"], told["labels"])
    collate = PadTensors(batch_first=False)
    result: dict[str, Any] = {"digest": digest(DataLoader(data, BATCH, collate_fn=collate)), "workers": {}}
    for workers in WORKERS:
        loader = DataLoader(
            data, BATCH, True, num_workers=workers, collate_fn=collate, persistent_workers=workers > 0
        )
        seconds = []
        for _ in range(int(sys.argv[1]) + 1):
            begun = time.perf_counter()
            for x, _labels in loader:
                x.float()
            seconds.append(time.perf_counter() - begun)
        loading = statistics.median(seconds[1:])
        result["workers"][str(workers)] = {
            "first_epoch_s": seconds[0],
            "loading_s": loading,
            "samples_a_second": len(data) / loading,
            "passes": {"loading_s": seconds[1:]},
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
