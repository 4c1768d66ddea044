"""Operations that are refused by name, each with its reason and with advice that applies to it."""

from __future__ import annotations

from collections.abc import Mapping

# what `--approximate` may name: norms and roots; products, quotients, attention and softmax inside
NORMS, PRODUCTS = APPROXIMATIONS = ("norms", "products")
LISTED = (
    "linear, convolution, batch norm, average and max pooling, activations, addition, concatenation, slices, "
    "flatten, permute"
)
_SMOOTH = "torch.nn.ReLU in its place, after retraining"
NORM_HINT = "torch.nn.BatchNorm2d, whose statistics are constants after training"
_LEVELS = "floor(clamp(x / a, 0, 1) * L + 0.5) / L * a in its place, L whole: an activation in levels (QCFS)"
_NO_GRAD = "torch.export.export(...) within torch.no_grad(), so that forward() has no block of its own"


def _each(names: str, kind: str, hint: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(names.split(), (kind, hint))


# name of the operation -> what it is called, and what to try
REFUSED: Mapping[str, tuple[str, str]] = {
    **_each("local_response_norm", "normalisation by the sample's own statistics", NORM_HINT),
    **_each(
        "argmax argmin", "a choice inside the network", "argmax over the classes at the very end, or none"
    ),
    **_each("round ceil trunc", "rounding of values", _LEVELS),
    **_each(
        "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine",
        "fake quantisation",
        "the network as it was before fake quantisation was put in, its weights copied",
    ),
    **_each(
        "lstm gru rnn_tanh rnn_relu",
        "a recurrent layer",
        "spikeflow.neurons.Recurrent, trained as a spiking network",
    ),
    "higher_order.wrap_with_autocast": (
        "a block of torch.autocast in an archive",
        "export the network without autocast: its weights are float32 already",
    ),
    "higher_order.wrap_with_set_grad_enabled": ("a block of torch.no_grad in an archive", _NO_GRAD),
}

# layers that torch writes as several operations, none of which would say what is meant
IN_PARTS: Mapping[str, tuple[str, str]] = {
    **_each(
        "LPPool1d LPPool2d LPPool3d",
        "powers of values within pooling",
        "average pooling and a factor, which are the same for norm_type=1 of values >= 0",
    ),
    **_each("Softmin", "this activation", _SMOOTH),
    **_each("LocalResponseNorm CrossMapLRN2d", "normalisation by the sample's own statistics", NORM_HINT),
    **_each("LSTM GRU RNN", "a recurrent layer", "spikeflow.neurons.Recurrent, trained as a spiking network"),
}
