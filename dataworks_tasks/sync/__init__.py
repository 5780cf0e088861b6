"""Repair and live migration: dirty keys are reconciled, in any order and any number of times."""
