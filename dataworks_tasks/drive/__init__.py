"""The run driver: plans, keeps messages in the queue, sends again what got lost, finishes."""
