"""The version of everything that ``--json`` and the API print."""

SCHEMA_VERSION = 1
"""Within a version, fields are only added."""
