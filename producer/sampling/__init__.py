"""What a source's documents look like, from a sample of them."""
