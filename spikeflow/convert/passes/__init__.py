"""Passes of a conversion, graph to graph: `fold` and `scales`, `observe` and `thresholds`, `balance`,
`coding`.
"""
