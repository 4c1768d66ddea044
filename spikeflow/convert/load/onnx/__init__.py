"""ONNX: `reader` takes a file apart; the tables beside it hold the operators, each a function of torch.

`layers` (weights and pools), `elementwise` (activations, arithmetic), `moves` and `resize` (where values go),
`sizes` (numbers that say how), `quantised` (8 bits); `fused` puts together what exporters write in parts.
"""
