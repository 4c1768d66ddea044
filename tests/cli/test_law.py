"""Any change of any of our files, and any word behind any option, ends in the documented error: exit 1 or 2, no traceback.

Drawn: bytes changed, cut, repeated or put in once to four times; in a manifest behind a right hash, values replaced by
numbers of up to 63 bits and beyond float32, text, nothing, lists, or by other parts of the same manifest, items left out
or repeated, arrays of other shape, type and values; words of `mutations.WORDS` behind up to three options of a command.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files import inputs
from tests.files.measured import measure

COUNT = 25
KINDS = (
    *(
        "net.h5",
        "net.map.h5",
        "ann.pt",
        "ann.pt2",
        "manifest of a network",
        "manifest of a mapping",
        "manifest of a state",
        "manifest of a checkpoint",
        "records.h5",
        "state.h5",
        "checkpoint.h5",
        "archive.tar",
        "options",
    ),
    *("model of an archive", "model of a rich archive", "pickle of a module"),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import spikeflow.report  # loaded once, not in every fork
    from spikeflow.cli import convert, report, run, show
    from spikeflow.cli import map as _map

    assert all((spikeflow.report, convert, report, run, show, _map))
    return inputs.good_files(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_documented_error(tmp_path: Path, good: dict[str, Path], kind: str) -> None:
    assert kind in inputs.kinds(good)
    broken = []
    for seed in range(COUNT):
        drawn = inputs.drawn(kind, seed, good, tmp_path)
        outcome = measure(drawn.call, drawn.path, 60)
        if not outcome.good:
            broken.append(f"{kind}, seed {seed}: {outcome}")
    assert not broken, "\n".join(broken)
