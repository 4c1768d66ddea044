"""Passes of a mapping, graph to graph: `adapt`, `compose`, `retime`, `gains`; `rules` says what a chip can
take.
"""
