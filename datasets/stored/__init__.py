"""What data sets are stored in: `idx`, `png`, `wave`, `pickled_arrays`; `layouts` and `rows` find samples in
folders and files.
"""
