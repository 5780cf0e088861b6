"""Settings of one process: what they are, and how they are read."""

from dataworks_tasks.settings.loader import ConfigManager, FrameworkConfig

__all__ = ["ConfigManager", "FrameworkConfig"]
