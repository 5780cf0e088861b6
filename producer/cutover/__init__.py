"""Cut a migration that follows its source over to the target."""
