"""What a run is: its spec, its ranges and its namespaces."""
