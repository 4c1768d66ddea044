"""ONNX: `reader` takes a file apart; the tables beside it hold the operators, each a function of torch.

`layers` (weights and pools), `elementwise` (activations, arithmetic), `moves` and `resize` (where values go),
`sizes` (numbers that say how), `quantised` and `qlinear` (8 bits), `microsoft` (onnxruntime's own);
`operators` has them all. Before that `functions` writes out a model's own, `constants` computes what is of
stored values alone, `dynamic` gives products in whole numbers their real weights and `fused` puts together
what exporters write in parts; `known` is what is known of values on the way.
"""
