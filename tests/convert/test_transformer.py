"""A vision transformer of torch's own layers, trained here: spiking within 2 points of its ANN at T = 32."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.convert import convert
from spikeflow.errors import HardwareError, SpikeflowError
from spikeflow.hw import map_network
from spikeflow.sim.classify import RunOptions, classify

ROOT = Path(__file__).parents[2]
STEPS = 32


@pytest.fixture(scope="module")
def trained() -> Any:
    """The network, and the digits; 12 epochs are enough for nine of ten."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from pictures import digits
        from train_ann import train
        from transformer import VisionTransformer
    finally:
        sys.path.remove(str(ROOT / "examples"))
    torch.manual_seed(0)
    net, p = VisionTransformer(), digits(0)
    train(net, torch.from_numpy(p.x_train), torch.from_numpy(p.y_train), 12)
    return net.eval(), p


def test_a_vision_transformer_spikes_as_its_ann_answers(trained: Any) -> None:
    net, p = trained
    x, y = p.x_test[:200], p.y_test[:200]
    with pytest.raises(SpikeflowError, match="--approximate norms"):
        convert(net, p.x_train[:8])
    made = convert(net, p.x_train[:200], approximate=("norms", "products"), steps=STEPS)
    assert {v.word for v in made.report.verdicts} == {"exact", "approximated"}
    gelus = [v.parts for v in made.report.verdicts if v.node and "gelu" in v.operation]
    assert gelus and all("threshold / (2 T) from gelu" in bound for bound, _ in gelus)
    assert {how for _, how in gelus} == {"spiking, signed, 2 bits"}
    found = classify(made.network, x).accumulated()
    with torch.no_grad():
        ann = (net(torch.from_numpy(x)).argmax(1).numpy() == y).mean()
    assert ann > 0.8
    assert (found.argmax(1) == y).mean() >= ann - 0.02
    few = classify(made.network, x[:4], RunOptions("reference")).accumulated()
    np.testing.assert_array_equal(few, found[:4])
    with pytest.raises(HardwareError, match="floats only"):
        map_network(made.network, "loihi2", p.x_train[:8])
