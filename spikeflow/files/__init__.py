"""Files of strangers: opened, taken apart and bounded by their size; nothing here knows what a file means.

The law of every reader: the memory at its peak is at most `limits.MARGIN` and `limits.PER_BYTE` times the
file, and its time grows at most with the file. For packed formats the file counts as what it may unpack to:
`limits.RATIO` times its bytes. `tests/files` holds every reader to it.
"""
