"""One worker process: its connections, its work, and the signs that it is alive."""
