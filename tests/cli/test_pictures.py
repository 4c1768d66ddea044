"""Pictures of an idx file on the command line: as arrays of the same numbers, with the labels beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from spikeflow.cli import cli
from spikeflow.datasets.stored.idx import write_idx
from spikeflow.errors import FileError
from spikeflow.flows import recipe_file
from spikeflow.flows.train import train

RECIPE = '[data]\nset = "digits"\nlimit = 300\nsteps = 4\n[network]\nhidden = [16]\n[training]\nepochs = 1\n'


@pytest.mark.parametrize("end", (".gz", ""))
def test_pictures_of_an_idx_file_are_answered_as_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    (tmp_path / "a.toml").write_text(RECIPE)
    net = str(train(recipe_file.read(tmp_path / "a.toml"), tmp_path / "out").path)
    x, y = load_digits(return_X_y=True)
    x = x[:40].reshape(-1, 8, 8)
    images = tmp_path / f"t10k-images-idx3-ubyte{end}"
    write_idx(images, x.astype(np.uint8))
    np.savez(tmp_path / "same.npz", x=x[:, None], y=y[:40])

    def run(data: Path) -> dict[str, object]:
        capsys.readouterr()
        cli(["run", net, "--data", str(data), "--json"], standalone_mode=False)
        return dict(json.loads(capsys.readouterr().out))

    assert "accuracy" not in {k for k, v in run(images).items() if v is not None}
    write_idx(tmp_path / f"t10k-labels-idx1-ubyte{end}", y[:40].astype(np.uint8))
    found, wanted = run(images), run(tmp_path / "same.npz")
    assert found["accuracy"] == wanted["accuracy"] and found["samples"] == 40
    write_idx(tmp_path / f"t10k-labels-idx1-ubyte{end}", y[:39].astype(np.uint8))
    with pytest.raises(FileError, match=r"shape \(39,\) for 40 pictures"):
        cli(["run", net, "--data", str(images)], standalone_mode=False)
    write_idx(images, x[0].astype(np.uint8))
    with pytest.raises(FileError, match="no pictures"):
        cli(["run", net, "--data", str(images)], standalone_mode=False)
