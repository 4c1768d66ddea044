"""Which operations `--approximate` takes of running means, and what they do elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from spikeflow.convert.capture import approximated, attention, norms
from spikeflow.convert.capture.approximated import Handler


def handlers(plain: Mapping[str, Handler]) -> Mapping[str, Handler]:
    """By the name of the operation; `plain` has those of values and constants."""
    return {
        **{word: approximated.mul(plain[word]) for word in ("mul", "multiply")},
        **{word: approximated.div(plain[word]) for word in ("div", "divide", "true_divide")},
        "glu": approximated.glu,
        "reciprocal": approximated.reciprocal,
        **dict.fromkeys(("sqrt", "rsqrt"), approximated.root),
        **dict.fromkeys(("pow", "square"), approximated.power),
        **{word: approximated.clamp_min(plain[word]) for word in ("clamp", "clip", "clamp_min")},
        **dict.fromkeys(("linalg_vector_norm", "norm"), approximated.norm),
        **dict.fromkeys(("var", "std"), approximated.variance),
        "cosine_similarity": approximated.cosine,
        **{word: attention.matmul(plain["matmul"]) for word in ("matmul", "mm", "bmm")},
        "baddbmm": attention.baddbmm(plain["baddbmm"]),
        "einsum": attention.einsum(plain["einsum"]),
        "scaled_dot_product_attention": attention.attention,
        **dict.fromkeys(("softmax", "_softmax"), attention.softmax),
        **dict.fromkeys(("layer_norm", "native_layer_norm"), norms.layer_norm),
        **dict.fromkeys(("group_norm", "native_group_norm"), norms.group_norm),
        "instance_norm": norms.instance_norm,
        "rms_norm": norms.rms_norm,
    }
