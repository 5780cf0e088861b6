"""Rate limiters that a fleet shares, for writes and for reads."""
