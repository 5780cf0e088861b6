"""Verification runs: compare what a run should have written with what its target holds."""
