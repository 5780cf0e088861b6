"""The settings of one process, and how they are read."""

from dataworks_tasks.settings.framework_config import FrameworkConfig
from dataworks_tasks.settings.loader import ConfigManager

__all__ = ["ConfigManager", "FrameworkConfig"]
