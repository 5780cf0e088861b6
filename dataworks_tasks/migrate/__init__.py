"""Migration: slices of a key space, read, changed, written and compared."""
