"""Rules of a user's own: one function for an operation or for a class of modules, given to one conversion.

For an operation, named as torch does (``my::op``, ``aten::softsign``), the function takes the `Builder` and
the `AtenNode` and gives the value that stands for its result, made of the graph's nodes. For a class of
modules it takes a module and gives another one, of operations that are known, which is traced in its place.

What a rule gives is proven like everything else: graph and network are compared on samples, and a rule that
is not exact ends the conversion. See ``docs/how-to/convert_my_operation.md``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from spikeflow.convert.capture.builder import Builder
from spikeflow.convert.capture.draft import Value
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.errors import ConversionError

OperationRule = Callable[[Builder, AtenNode], Value]
ModuleRule = Callable[[nn.Module], nn.Module]
Rules = Mapping[Any, Callable[..., Any]]
_FORM = '{"my::op": function of (builder, node)} or {MyModule: function of (module)}'


def check(rules: Rules) -> None:
    """Raise ConversionError unless every key names an operation or is a class of modules."""
    for key, rule in rules.items():
        named = isinstance(key, str) and key.count("::") == 1 and all(key.split("::"))
        if not named and not (isinstance(key, type) and issubclass(key, nn.Module)):
            raise ConversionError("rules", f"{key!r:.80} is no operation and no class of modules", _FORM)
        if not callable(rule):
            raise ConversionError("rules", f"what is given for {key!r:.80} is no function", _FORM)


def rule_of(rules: Rules, op: str) -> OperationRule | None:
    """The rule for an operation, as ``aten.conv2d.default`` or by its name without the overload."""
    named = {key.replace("::", "."): rule for key, rule in rules.items() if isinstance(key, str)}
    return named.get(op) or named.get(op.rpartition(".")[0])


def taken(rule: OperationRule, b: Builder, node: AtenNode) -> None:
    """What a rule makes of an operation, with its verdict.

    Raises
    ------
    ConversionError
        Where it gives no value of the operation's shape.
    """
    value = rule(b, node)
    wanted = tuple(node.shape[1:])
    if not isinstance(value, Value) or (value.shape != wanted and node.shape):
        got = f"a value of shape {value.shape}" if isinstance(value, Value) else f"a {type(value).__name__}"
        reason = f"its rule gives {got}, where {wanted} belongs"
        raise ConversionError(b.title(node), reason, "the value that the builder's last node gave")
    b.values[node.name] = value
    if node.name not in b.verdicts:
        b.decide(node, "exact: by a rule of the user's", value)


def with_modules(network: Any, rules: Rules) -> Any:
    """A copy of the network with every module of a class in `rules` as its rule gives it; the network itself
    where there is none. The given network stays as it is.

    Raises
    ------
    ConversionError
        Where a rule gives no module.
    """
    classes = {key: rule for key, rule in rules.items() if isinstance(key, type)}
    if not isinstance(network, nn.Module) or not any(type(module) in classes for module in network.modules()):
        return network
    made = copy.deepcopy(network)
    if type(made) in classes:
        return _made(classes[type(made)], made, type(made).__name__)
    placed: dict[nn.Module, nn.Module] = {}  # a module under several names stays one
    found = dict(made.named_modules(remove_duplicate=False))
    for path, module in found.items():
        if type(module) in classes:
            if module not in placed:
                placed[module] = _made(classes[type(module)], module, path)
            parent, _, name = path.rpartition(".")
            setattr(found[parent], name, placed[module])
    return made


def _made(rule: ModuleRule, module: nn.Module, where: str) -> nn.Module:
    found = rule(module)
    if not isinstance(found, nn.Module):
        reason = f"its rule gives a {type(found).__name__}"
        raise ConversionError(where, reason, "a torch.nn.Module of operations that are known")
    return found.train(module.training)
