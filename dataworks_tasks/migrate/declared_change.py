"""Declared changes (rename, drop, set, mask), applied to raw bytes."""
def by_transform(transform): return None
