"""Estimates of a run before it runs."""
