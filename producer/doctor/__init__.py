"""Checks of Redis, databases, rights and workers before a run."""
