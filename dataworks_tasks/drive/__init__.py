"""The run driver: plans, keeps messages in the queue, sends lost ones again, and finishes."""
