"""The bit budget: nets counted by hand, bit planes that equal integers, winners and losers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import Conversion, convert
from spikeflow.convert.bits.budget import (
    EQUAL_BITS,
    EQUAL_LEVELS,
    SNN,
    BitBudget,
    BitOptions,
    BitRow,
    Prices,
    bit_budget,
)
from spikeflow.convert.bits.quantised import QuantisedAnn, planes, with_rounded_weights
from spikeflow.convert.passes.forward import forward, value_of
from spikeflow.errors import ConversionError, DataError
from spikeflow.ir.nodes import Conv2d, Linear
from tests.convert.networks import samples, settled, small_cnn

PRICES = Prices(product=1.0, moved=1000.0)


def two_layers(alphabet: str = "binary") -> Conversion:
    """4 inputs, 3 neurons that spike in every step, 2 outputs."""
    net = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    net[0].weight.data.fill_(0.5)
    net[2].weight.data.copy_(torch.tensor([[1.0, 0.5, 0.25], [0.25, 0.5, 0.25]]))
    return convert(net.eval(), np.ones((30, 4), np.float32), thresholds="largest", alphabet=alphabet)


def row_of(found: BitBudget, kind: str, steps: int) -> BitRow:
    return next(row for row in found.rows if (row.kind, row.steps) == (kind, steps))


def test_two_layers_by_hand() -> None:
    options = BitOptions((4,), weight_bits=8, input_bits=8, membrane_bits=16, prices=PRICES)
    found = bit_budget(two_layers(), np.ones((5, 4), np.float32), None, options)
    assert (found.macs, found.first_macs, found.every_step) == (18, 12, 12 * 8 * 8 * 4)
    first = 12 * 8 * 8
    spiking, equal = row_of(found, SNN, 4), row_of(found, EQUAL_BITS, 4)
    # every neuron spikes in every step, so nothing is saved: NS-ACE is S-ACE
    assert spiking.bits == 4 * 8 and spiking.dense_ace == spiking.sparse_ace == 6 * 4 * 8 + first
    assert spiking.operations == 6 * 4
    assert spiking.traffic_bits == 24 * 8 + 3 * 4 + 2 * 4 * 16 * (3 + 2) + 12 * 8
    assert spiking.energy_j == spiking.sparse_ace + 1000 * spiking.traffic_bits
    # of equal bits is the ANN of 4 bits an activation: the same bit operations, no membranes to move
    assert equal.bits == 8 * 4 and equal.dense_ace == equal.sparse_ace == 6 * 8 * 4 + first
    assert equal.traffic_bits == 6 * 8 + 3 * 4 + 12 * 8
    # of equal levels, 5 of them, is the ANN of 3 bits
    assert row_of(found, EQUAL_LEVELS, 4).activation_bits == 3
    assert spiking.share == equal.share == 1.0
    assert "the ANN wins" in found.compared()[0]


def test_signed_spikes_move_two_bits_each() -> None:
    options = BitOptions((4,), weight_bits=8, input_bits=8, membrane_bits=16, prices=PRICES)
    found = bit_budget(two_layers("signed"), np.ones((5, 4), np.float32), None, options)
    spiking = row_of(found, SNN, 4)
    assert spiking.traffic_bits == 24 * 8 + 3 * 4 * 2 + 2 * 4 * 16 * (3 + 2) + 12 * 8


def test_silent_neurons_cost_nothing_but_their_state() -> None:
    made = two_layers()
    found = bit_budget(made, np.zeros((5, 4), np.float32), None, BitOptions((4,)))
    spiking = row_of(found, SNN, 4)
    assert spiking.operations == 0 and spiking.sparse_ace == 12 * 64 < spiking.dense_ace
    assert spiking.traffic_bits == 2 * 4 * 16 * 5 + 12 * 8


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_bit_planes_equal_the_integers(bits: int) -> None:
    draw = np.random.default_rng(bits)
    dense = Linear(draw.integers(-127, 128, (5, 12)).astype(np.float32))
    kernel = Conv2d(draw.integers(-127, 128, (4, 3, 3, 3)).astype(np.float32))
    cases = ((dense, (12,), (5,)), (kernel, (3, 6, 6), kernel.output_shape("k", ((3, 6, 6),))))
    for node, shape, out in cases:
        values = draw.integers(0, 2**bits, (7, *shape))
        whole = value_of("n", node, [torch.tensor(values, dtype=torch.float64)], out)
        each = [
            value_of("n", node, [torch.tensor(p, dtype=torch.float64)], out) for p in planes(values, bits)
        ]
        assert torch.equal(sum(2**p * plane for p, plane in enumerate(each)), whole)  # type: ignore[arg-type]
        assert np.array_equal(sum(2**p * plane for p, plane in enumerate(planes(values, bits))), values)


def test_weights_are_rounded_row_by_row() -> None:
    made = convert(settled(small_cnn()), samples((1, 8, 8), 40))
    for bits in (2, 8):
        rounded = with_rounded_weights(made.ann, bits)
        for name in ("0", "4", "10"):
            before, after = (np.asarray(g.nodes[name].weight) for g in (made.ann, rounded))  # type: ignore[union-attr]
            rows = after.reshape(len(after), -1)
            assert all(len(np.unique(np.abs(row))) <= 2 ** (bits - 1) for row in rows)
            step = np.abs(before.reshape(len(rows), -1)).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
            assert (np.abs(rows - before.reshape(len(rows), -1)) <= step / 2 * 1.001).all()


def test_many_bits_are_the_ann_itself() -> None:
    made, x = (
        convert(settled(small_cnn()), samples((1, 8, 8), 40), thresholds="largest"),
        samples((1, 8, 8), 9),
    )
    ranges = {name: np.full(made.ann.shapes[name][0], 50.0, np.float32) for name in ("2", "6")}
    fine = QuantisedAnn(made.ann, ranges, 2**16 - 1).outputs(x)["output"]
    exact = forward(made.ann, x)
    assert np.abs(fine - exact).max() < 5e-3 * np.abs(exact).max()
    one = QuantisedAnn(made.ann, ranges, 1)
    one.outputs(x)
    assert set(one.density) == {"2", "6"} and all(0 <= share < 0.1 for share in one.density.values())


def test_the_table_is_whole_and_says_who_wins() -> None:
    made = convert(settled(small_cnn()), samples((1, 8, 8), 60))
    x = samples((1, 8, 8), 30, 5)
    found = bit_budget(made, x, np.zeros(30, int), BitOptions((1, 4, 8)))
    assert len(found.rows) == 9 and found.labelled and len(found.compared()) == 3
    for steps in (1, 4, 8):
        spiking, equal = row_of(found, SNN, steps), row_of(found, EQUAL_BITS, steps)
        assert spiking.sparse_ace <= spiking.dense_ace == equal.dense_ace and spiking.bits == equal.bits
        levels = row_of(found, EQUAL_LEVELS, steps).activation_bits
        assert levels == int(np.ceil(np.log2(steps + 1)))
    text = found.to_text()
    assert "accuracy" in text and all(line in text for line in found.compared())
    assert json.loads(json.dumps(found.to_json()))["rows"][0]["kind"] == SNN


def test_what_is_not_compared_is_refused() -> None:
    x = samples((1, 8, 8), 40)
    made = convert(settled(small_cnn()), x, answer="value")
    with pytest.raises(ConversionError, match="values are not compared"):
        bit_budget(made, x)
    for wrong in ({"steps": (4, 2)}, {"steps": ()}, {"weight_bits": 1}):
        with pytest.raises(DataError):
            BitOptions(**wrong)  # type: ignore[arg-type]
