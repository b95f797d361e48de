"""A run folder on the disk: its files, its record, how it ended."""
