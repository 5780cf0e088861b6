"""Everything a person starts: the command line and the Python API."""
