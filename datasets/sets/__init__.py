"""The data sets, one file each; `catalog` lists them by name. `audio`, `images`, `heidelberg` are kinds of
sets.
"""
