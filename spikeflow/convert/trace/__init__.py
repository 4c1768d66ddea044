"""The traced network: operations of torch as plain data, from a module or a file, in one form, and run one by
one.

`aten` traces a module, `atengraph` is the record, `normal` its one form, `evaluate` runs it, `operations`
lists what is known by name, `returned` keeps what forward() gives, `forecast` says what memory a conversion
takes.
"""
