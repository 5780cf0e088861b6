"""The ledger: a run's state in Redis, and the only record of what is acknowledged."""
