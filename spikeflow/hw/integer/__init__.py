"""From float to the integers of a chip: `quantise`, and what its numbers rest on.

`observe` and `probes` measure on calibration samples; `registers`, `roundings`, `choose` and `scales` find
the scales; `weights` and `translate` make integers of weights and programs; `loss`, `losses` and
`quantisation` say what was lost.
"""
