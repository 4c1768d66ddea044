"""Activations that TFLite's converter writes as several operators, as one: x times LOGISTIC(x) is SiLU."""

from __future__ import annotations

from dataclasses import replace

from spikeflow.files.tflite_model import LiteModel, LiteOperator

SILU = "SILU"  # not a name of TFLite's


def joined(model: LiteModel) -> LiteModel:
    """The model with each such pair as one, where nothing else reads the gate."""
    makers = {n: operator for operator in model.operators for n in operator.writes}
    read = [n for operator in model.operators for n in operator.reads]
    operators, gone = list[LiteOperator](), set[int]()
    for operator in model.operators:
        x, gate = _gated(operator, makers)
        if gate is not None and read.count(gate) == 1 and gate not in model.outputs:
            gone.add(gate)
            operator = replace(operator, kind=SILU, reads=(x,))
        operators.append(operator)
    return replace(model, operators=tuple(o for o in operators if not gone & set(o.writes)))


def _gated(operator: LiteOperator, makers: dict[int, LiteOperator]) -> tuple[int, int | None]:
    """For a product of a value and its gate both of them."""
    if operator.kind == "MUL" and len(operator.reads) == 2:
        for x, gate in (operator.reads, operator.reads[::-1]):
            made = makers.get(gate)
            if made is not None and made.kind == "LOGISTIC" and made.reads == (x,):
                return x, gate
    return -1, None
