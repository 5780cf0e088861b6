"""BSON bytes: single documents and batches of them."""
