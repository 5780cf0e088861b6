"""The report of a run, to give to others."""
