"""Events from tables: which `columns`, which `units`, which rows are events (`screen`), and a recording of
them.
"""
