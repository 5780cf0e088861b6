"""Reading a key space in slices."""
