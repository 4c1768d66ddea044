"""The torch layers that a saved module may hold, their plain fields, and how each is made afresh.

Nothing of the file's object is used but numbers, words and tensors. A layer is made by calling the listed
class with the fields that its constructor takes, on torch's `meta` device, so that a hostile size allocates
nothing; then every field of the file must equal the new layer's, and every tensor have the new layer's shape.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import nn

from spikeflow.convert.load import reparametrised
from spikeflow.convert.load.pickled import Instance, Tensor
from spikeflow.errors import FileError, UnsafeFile

MAX_DEPTH = 64
_BIG, _SMALL = 2**31, 2**16
_HINT = "save the model with torch.export.save(torch.export.export(model, (example,)), 'net.pt2')"

Check = Callable[[object], bool]
_Tensors = dict[str, torch.Tensor | None]


def _whole(limit: int) -> Check:
    return lambda value: type(value) is int and -limit <= value <= limit


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _factor(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and abs(value) <= _SMALL


def _flag(value: object) -> bool:
    return type(value) is bool


def _one_of(*words: str) -> Check:
    return lambda value: type(value) is str and value in words


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _one_or_several(check: Check) -> Check:
    def ok(value: object) -> bool:
        if type(value) in (tuple, list):
            return len(value) <= 8 and all(check(item) for item in value)  # type: ignore[arg-type]
        return check(value)

    return ok


def _either(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


_COUNT, _SIZES = _whole(_BIG), _one_or_several(_whole(_SMALL))
_MODES = _one_of("nearest", "linear", "bilinear", "bicubic", "trilinear", "nearest-exact", "area")


def _each(names: str, check: Check) -> dict[str, Check]:
    return dict.fromkeys(names.split(), check)


# What each field may be, whichever layer has it.
FIELDS: Mapping[str, Check] = {
    **_each(
        "in_features out_features in_channels out_channels num_features num_groups num_channels "
        "num_parameters groups dim start_dim end_dim upscale_factor downscale_factor",
        _or_none(_COUNT),
    ),
    **_each("kernel_size stride dilation output_padding _reversed_padding_repeated_twice", _SIZES),
    "padding": _either(_SIZES, _one_of("same", "valid")),
    "padding_mode": _one_of("zeros", "reflect", "replicate", "circular"),
    "output_size": _or_none(_one_or_several(_or_none(_whole(_SMALL)))),
    "size": _or_none(_SIZES),
    "normalized_shape": _one_or_several(_COUNT),
    "unflattened_size": _one_or_several(_COUNT),
    "divisor_override": _or_none(_COUNT),
    "scale_factor": _or_none(_one_or_several(_factor)),
    **_each(
        "eps momentum negative_slope alpha beta threshold value p init min_val max_val k",
        _or_none(_number),
    ),
    **_each(
        "transposed affine track_running_stats elementwise_affine inplace ceil_mode count_include_pad "
        "return_indices align_corners recompute_scale_factor",
        _or_none(_flag),
    ),
    "mode": _MODES,
    "approximate": _one_of("none", "tanh"),
    "name": lambda value: type(value) is str and len(value) < 100,
}


@dataclass(frozen=True)
class Layer:
    """One listed class: the fields its constructor takes, those that follow, and whether it takes `bias`."""

    cls: type[nn.Module]
    takes: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    bias: bool = False


def _layers(names: str, takes: str = "", derived: str = "") -> dict[str, Layer]:
    """One entry for each name of torch.nn, under the full name that a pickle has for it."""
    found: dict[str, Layer] = {}
    for name in names.split():
        cls = getattr(nn, name)
        bias = "bias" in inspect.signature(cls).parameters  # BatchNorm has it in newer versions of torch only
        found[f"{cls.__module__}.{name}"] = Layer(cls, tuple(takes.split()), tuple(derived.split()), bias)
    return found


_CONV = "in_channels out_channels kernel_size stride padding dilation groups padding_mode"
_NORM = "num_features eps momentum affine track_running_stats"
_UPSAMPLED = "name mode align_corners recompute_scale_factor"

LAYERS: Mapping[str, Layer] = {
    **_layers("Sequential Identity Sigmoid Tanh LogSigmoid Softsign Softmax2d"),
    **_layers("Linear", "in_features out_features"),
    **_layers("Conv1d Conv2d Conv3d", _CONV, "transposed output_padding _reversed_padding_repeated_twice"),
    **_layers(
        "ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        f"{_CONV} output_padding",
        "transposed _reversed_padding_repeated_twice",
    ),
    **_layers("BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d", _NORM),
    **_layers("LayerNorm", "normalized_shape eps elementwise_affine"),
    **_layers("GroupNorm", "num_groups num_channels eps affine"),
    **_layers("LocalResponseNorm", "size alpha beta k"),
    **_layers("ReLU SiLU Mish Hardsigmoid Hardswish SELU", "inplace"),
    **_layers("ReLU6", "inplace", "min_val max_val"),
    **_layers("Hardtanh", "min_val max_val inplace"),
    **_layers("LeakyReLU", "negative_slope inplace"),
    **_layers("ELU CELU", "alpha inplace"),
    **_layers("PReLU", "num_parameters init"),
    **_layers("GELU", "approximate"),
    **_layers("Softplus", "beta threshold"),
    **_layers("Threshold", "threshold value inplace"),
    **_layers("Softmax LogSoftmax Softmin", "dim"),
    **_layers("AvgPool1d", "kernel_size stride padding ceil_mode count_include_pad"),
    **_layers(
        "AvgPool2d AvgPool3d", "kernel_size stride padding ceil_mode count_include_pad divisor_override"
    ),
    **_layers(
        "MaxPool1d MaxPool2d MaxPool3d", "kernel_size stride padding dilation return_indices ceil_mode"
    ),
    **_layers("AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d", "output_size"),
    **_layers("AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d", "output_size return_indices"),
    **_layers("Flatten", "start_dim end_dim"),
    **_layers("Unflatten", "dim unflattened_size"),
    **_layers("Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout", "p inplace"),
    **_layers("ZeroPad1d ZeroPad2d ZeroPad3d", "padding", "value"),
    **_layers("ConstantPad1d ConstantPad2d ConstantPad3d", "padding value"),
    **_layers("ReflectionPad1d ReflectionPad2d ReflectionPad3d", "padding"),
    **_layers("ReplicationPad1d ReplicationPad2d ReplicationPad3d", "padding"),
    **_layers("CircularPad1d CircularPad2d CircularPad3d", "padding"),
    **_layers("Upsample", "size scale_factor mode align_corners recompute_scale_factor", "name"),
    **_layers("UpsamplingNearest2d UpsamplingBilinear2d", "size scale_factor", _UPSAMPLED),
    **_layers("PixelShuffle", "upscale_factor"),
    **_layers("PixelUnshuffle", "downscale_factor"),
    **_layers("ChannelShuffle", "groups"),
}

_TENSORS = ("_parameters", "_buffers", "_modules")
_HOOK_FIELDS = (
    "_backward_pre_hooks _backward_hooks _forward_hooks _forward_hooks_with_kwargs "
    "_forward_hooks_always_called _forward_pre_hooks _forward_pre_hooks_with_kwargs "
    "_state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks _load_state_dict_post_hooks"
)
_HOOKS = frozenset(_HOOK_FIELDS.split())


@dataclass
class Rebuilder:
    """Makes the modules of one file; `made` gives a layer that stands in two places the same object again."""

    path: str
    tensor: Callable[[Tensor], torch.Tensor]
    made: dict[int, nn.Module] = field(default_factory=dict)

    def module(self, saved: Instance, name: str = "", depth: int = 0) -> nn.Module:
        """The saved layer made afresh, with everything in it.

        A layer without children may stand in several places of the tree, as one `ReLU` often does. A
        container may not: containers within themselves have no end.
        """
        if saved.kind not in LAYERS:
            raise UnsafeFile(self.path, f"{_at(name)} is a {saved.kind}, no layer", _HINT)
        if id(saved) in self.made:
            if LAYERS[saved.kind].cls is nn.Sequential:
                raise UnsafeFile(self.path, f"{_at(name)} stands in two places of the module", _HINT)
            return self.made[id(saved)]
        if depth > MAX_DEPTH:
            raise UnsafeFile(self.path, f"its modules are nested deeper than {MAX_DEPTH}", _HINT)
        fields = reparametrised.plain(self.path, name, saved.fields or {}, self.tensor)
        module = _fresh(Instance(saved.kind, None if saved.fields is None else dict(fields)), name, self.path)
        self.made[id(saved)] = module
        held = vars(module)  # torch has no public name for a module's own tables
        self._fill(cast("_Tensors", held["_parameters"]), fields.get("_parameters"), name)
        self._fill(held["_buffers"], fields.get("_buffers"), name)
        self._children(module, fields.get("_modules"), name, depth)
        module.train(fields.get("training") is not False)
        return module

    def _fill(self, wanted: _Tensors, found: object, name: str) -> None:
        """Put the file's tensors in place of the empty ones of the new layer."""
        saved = dict(found) if isinstance(found, dict) else {}
        if "num_batches_tracked" in wanted:  # absent before torch 0.4.1, and without effect
            saved.setdefault("num_batches_tracked", None)
        for key in sorted(saved.keys() ^ wanted.keys(), key=str):
            raise FileError(
                self.path, f"{_at(name)} has other tensors than its class: {str(key)[:60]!r}", _HINT
            )
        for key, empty in wanted.items():
            record = saved[key]
            if record is None and key == "num_batches_tracked" and empty is not None:
                wanted[key] = torch.zeros((), dtype=torch.int64)
            elif isinstance(record, Tensor | torch.Tensor) and empty is not None:
                wanted[key] = self._filled(empty, record, f"{name}.{key}".lstrip("."))
            elif record is not None or empty is not None:
                raise FileError(self.path, f"{_at(name)}: the tensor {key} does not fit its fields", _HINT)

    def _filled(self, empty: torch.Tensor, record: Tensor | torch.Tensor, name: str) -> torch.Tensor:
        size = record.size if isinstance(record, Tensor) else tuple(record.shape)
        if tuple(empty.shape) != size:
            reason = f"{name} has shape {size}; its layer's fields say {tuple(empty.shape)}"
            raise FileError(self.path, reason, "copy or download it again")
        tensor = self.tensor(record) if isinstance(record, Tensor) else record
        if tensor.is_floating_point() != empty.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise FileError(self.path, f"{name} holds {kind}, which its layer cannot", _HINT)
        if isinstance(empty, nn.Parameter):
            return nn.Parameter(tensor.detach(), requires_grad=record.requires_grad)
        return tensor

    def _children(self, module: nn.Module, found: object, name: str, depth: int) -> None:
        if not isinstance(found, dict) or (found and not isinstance(module, nn.Sequential)):
            raise UnsafeFile(self.path, f"{_at(name)} holds modules of its own", _HINT)
        for key, child in found.items():
            if type(key) is not str or hasattr(module, key) or not _is_module_name(key):
                raise FileError(
                    self.path, f"{_at(name)} holds a module under the name {str(key)[:60]!r}", _HINT
                )
            if not isinstance(child, Instance):
                raise FileError(self.path, f"{_at(name)}.{key} is no layer", _HINT)
            module.add_module(key, self.module(child, f"{name}.{key}".lstrip("."), depth + 1))


def _is_module_name(key: str) -> bool:
    return key.isprintable() and 0 < len(key) <= 200 and "." not in key


def _at(name: str) -> str:
    return name or "the saved module"


def _fresh(saved: Instance, name: str, path: str) -> nn.Module:
    """A new layer of the listed class with every field of the saved one, without memory for its tensors."""
    layer = LAYERS[saved.kind]
    if saved.fields is None:
        raise FileError(path, f"{_at(name)} has no fields", "copy or download it again")
    plain = _plain_fields(layer, saved.fields, name, path)
    arguments = {key: _tupled(value) for key, value in plain.items() if key in layer.takes}
    if layer.bias:
        arguments["bias"] = _has_tensor(saved.fields, "bias") or not _knows(saved.fields, "bias")
    try:
        with torch.device("meta"):
            module = layer.cls(**arguments)  # type: ignore[arg-type]
    except (RuntimeError, ValueError, TypeError, ArithmeticError, AssertionError, IndexError) as error:
        reason = f"{_at(name)}: {layer.cls.__name__} refuses its fields ({str(error).splitlines()[0][:100]})"
        raise FileError(path, reason, "copy or download it again") from None
    for key, value in plain.items():
        if _tupled(getattr(module, key, None)) != _tupled(value):
            raise UnsafeFile(path, f"{_at(name)}: the field {key} does not follow from the others", _HINT)
    return module


def _plain_fields(layer: Layer, fields: Mapping[object, object], name: str, path: str) -> dict[str, object]:
    """The layer's own fields, each a number or word that may stand there; all else is refused or empty."""
    plain: dict[str, object] = {}
    for key, value in fields.items():
        if key in _HOOKS:
            if not isinstance(value, dict) or value:
                raise UnsafeFile(
                    path, f"{_at(name)} carries hooks ({key}), which are code", "remove them and save again"
                )
        elif key in layer.takes or key in layer.derived:
            if not FIELDS[str(key)](value):
                raise FileError(path, f"{_at(name)}: the field {key} has no value that fits", _HINT)
            plain[str(key)] = value
        elif not _bookkeeping(key, value):
            raise _unknown(layer, key, name, path)
    return plain


def _bookkeeping(key: object, value: object) -> bool:
    """Whether a field is one of those that every module has, in its ordinary form."""
    if key in _TENSORS:
        return isinstance(value, dict)
    if key == "_non_persistent_buffers_set":
        return isinstance(value, set) and not value
    return (key == "training" and type(value) is bool) or (
        key == "_is_full_backward_hook" and (value is None or type(value) is bool)
    )


def _unknown(layer: Layer, key: object, name: str, path: str) -> FileError:
    word = str(key)[:60]
    if hasattr(layer.cls, word):
        return UnsafeFile(path, f"{_at(name)} replaces {layer.cls.__name__}.{word} by its own", _HINT)
    return UnsafeFile(
        path, f"{_at(name)} has a field {word!r} that {layer.cls.__name__} does not have", _HINT
    )


def _knows(fields: Mapping[object, object], key: str) -> bool:
    found = fields.get("_parameters")
    return isinstance(found, dict) and key in found


def _has_tensor(fields: Mapping[object, object], key: str) -> bool:
    found = fields.get("_parameters")
    return isinstance(found, dict) and found.get(key) is not None


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
