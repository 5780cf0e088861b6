"""Speed and memory as ratios of this machine's own limit, measured in one run: ``make bench``."""
