"""What a fleet does right now: metrics, alerts and the exporter, all read from the ledger."""
