"""How the synthetic twins of data sets are made: one file an idea, from drawn numbers to files on a disk."""
