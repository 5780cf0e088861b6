"""The page for runs: `dataworks web`."""
