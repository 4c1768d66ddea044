"""TFLite: `reader` takes a file apart; the tables beside it hold the operators, each a function of torch.

`layout` says how values lie (channels last in the file, first here), `layers` has weights and pools, `moves`
where values go, `elementwise` activations and arithmetic; `dilated` and `joined` put together what the
converter writes in parts.
"""
