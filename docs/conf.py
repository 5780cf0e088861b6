"""How Sphinx builds the pages: `make docs`."""

from __future__ import annotations

from dataworks_tasks import __version__

project = "DataWorks"
author = "DataWorks maintainers"
version = release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "DataWorks"
root_doc = "index"
exclude_patterns = ["_build"]
myst_heading_anchors = 4
