"""Events from tables: which `columns`, which `units`, which rows are events (`validate`), and a recording of
them.
"""
