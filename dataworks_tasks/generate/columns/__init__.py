"""One file a field type; importing them registers them."""
