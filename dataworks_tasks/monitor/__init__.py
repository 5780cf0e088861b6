"""What a fleet is doing now: metrics, alerts and the exporter, all read from the ledger."""
