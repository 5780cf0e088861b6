"""Cutting a key space into slices."""
