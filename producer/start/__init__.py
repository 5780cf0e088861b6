"""Checking a request and recording a new run."""
