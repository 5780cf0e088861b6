"""One file per field type; importing them registers them."""
