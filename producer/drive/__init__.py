"""Keeping a run going: messages, the queue, and attached or in-process work."""
