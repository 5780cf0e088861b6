"""Where commands keep what outlives them."""

from pathlib import Path

STATE_FOLDER = Path(".dataworks")
"""The usual folder of ``dataworks local``."""
