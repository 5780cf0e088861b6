"""The report of a run, to hand over."""
