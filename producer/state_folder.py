"""The folder for files that outlive a command."""

from pathlib import Path

STATE_FOLDER = Path(".dataworks")
"""The usual folder of ``dataworks local``."""
