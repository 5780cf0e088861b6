"""The databases: connections, bulk writes and the differences between servers."""
