"""Continuing a run, and rebuilding one whose ledger was lost."""
