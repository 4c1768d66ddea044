"""Ways through several parts of the package: data sets, training and capture in one.

recipe_file : a recipe with its data and network, read from TOML.
data, networks : what such a recipe trains on, and what.
train : all of it, down to a file that run, map and report take.
"""

from __future__ import annotations
