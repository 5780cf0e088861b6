"""What documents of a source look like, from a sample of them."""
